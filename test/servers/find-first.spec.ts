import { describe, expect, test } from 'vitest';
import { findFirst } from './find-first.js';

const absent = (place: string) => ({
  place,
  look: () => Promise.reject(new Error(`no ${place}\nat length`)),
});

describe('looking in several places', () => {
  test('answers what the first place has that has it, and looks no further', async () => {
    const here = { place: 'here', look: () => Promise.resolve('found') };
    const never = { place: 'there', look: () => expect.unreachable() };
    expect(await findFirst([absent('shelf'), here, never])).toEqual({ found: 'found' });
  });

  test('answers the reason of every place in a line when none has it', async () => {
    const result = await findFirst([absent('shelf'), absent('cellar')]);
    expect(result).toEqual({ missing: ['shelf: no shelf', 'cellar: no cellar'] });
  });
});
