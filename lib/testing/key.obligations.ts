import { deepEqual, equal } from 'node:assert/strict';
import type { BackendUnderTest } from './describe-backend.js';
import { anyKey, bytes, text } from './tools.js';

const LONG = 'x'.repeat(5_000);

/** Pairs and more of keys that a careless backend takes for one another, or for something else. */
const AWKWARD: readonly string[] = [
  '',
  ' ',
  '  ',
  '\0',
  'a\0b',
  'a\0',
  '\n',
  'a\r\nb',
  '\t',
  '*',
  '?',
  '[a]',
  '\\',
  '%',
  '_',
  '/',
  '//',
  '.',
  '..',
  '__proto__',
  'constructor',
  'hasOwnProperty',
  '__name__',
  '$where',
  'a.b',
  'a:b',
  'a::b',
  'a b',
  'a+b',
  'a%20b',
  '{a}b',
  "'; DROP TABLE cache; --",
  'é',
  'e\u0301',
  'É',
  'ß',
  'ss',
  'K',
  'k',
  '\u212a',
  '😀',
  '\ud83d',
  '\ude00',
  '\ud83e',
  '\ufffd',
  LONG,
  `${LONG}1`,
  `1${LONG}`,
  'é'.repeat(2_500),
  // Alike but for the middle, the case, or a lone surrogate.
  `${LONG}a${LONG}`,
  `${LONG}b${LONG}`,
  `${LONG}B${LONG}`,
  `${LONG}\ud83d`,
  `${LONG}\ud83e`,
  `${LONG}\ufffd`,
];

/** Any string is a key, and two strings are two keys. */
export function describeKeys({ backend, runner: { describe, it } }: BackendUnderTest): void {
  describe('keys', () => {
    it('keeps awkward keys apart', async () => {
      await Promise.all(AWKWARD.map(async (key, index) => backend().set(key, bytes(`${index}`), 60_000)));
      const single = await Promise.all(AWKWARD.map(async (key) => text(await backend().get(key))));
      const many = (await backend().getMany(AWKWARD)).map(text);
      const wanted = AWKWARD.map((_, index) => `${index}`);
      deepEqual(single, wanted);
      deepEqual(many, wanted);
    });

    it('removes an awkward key and no other', async () => {
      for (const key of ['*', '', LONG, '\ud83d']) {
        const other = anyKey();
        await backend().set(other, bytes('other'), 60_000);
        await backend().set(key, bytes('awkward'), 60_000);
        await backend().delete([key]);
        equal(await backend().get(key), undefined);
        equal(text(await backend().get(other)), 'other');
      }
    });

    it('replaces under an awkward key', async () => {
      for (const key of [`${LONG}${anyKey()}`, `\ud83d${anyKey()}`, ` ${anyKey()}`]) {
        const first = await backend().replace(key, undefined, bytes('1'), 60_000);
        equal(await backend().replace(key, undefined, bytes('2'), 60_000), undefined);
        equal(text(await backend().replace(key, first?.version, bytes('3'), 60_000)), '3');
      }
    });
  });
}
