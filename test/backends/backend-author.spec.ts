import {
  CachekitConfigError,
  checkNamespace,
  DEFAULT_NAMESPACE,
  explainFailedImport,
  MissingClientError,
  storableKey,
} from 'nestjs-cachekit';
import { describe, expect, it } from 'vitest';

describe('The author of a backend gets from the package', () => {
  it('the check of a namespace', () => {
    expect(checkNamespace(DEFAULT_NAMESPACE, 'FileBackend')).toBe('cachekit');
    expect(() => checkNamespace('a:b', 'FileBackend')).toThrow(CachekitConfigError);
    expect(() => checkNamespace('a:b', 'FileBackend')).toThrow('FileBackend: the namespace "a:b"');
  });

  it('keys that any store takes', () => {
    expect(storableKey('cats:1', 250)).toBe('cats:1');
    const long = storableKey('cat '.repeat(100), 250);
    expect(long).toMatch(/^cat_cat_[\x21-\x7e]*~[\w-]{43}$/);
    expect(storableKey('cat '.repeat(101), 250)).not.toBe(long);
  });

  it('the explanation of a client package that is not installed', async () => {
    const name = 'no-such-client';
    const failure: unknown = await import(name).catch((error: unknown) => error);
    const explained = explainFailedImport(failure, name, 'FileBackend');
    expect(explained).toBeInstanceOf(MissingClientError);
    expect(explained).toMatchObject({ message: expect.stringContaining('npm install no-such-client') });
    expect(explainFailedImport(failure, 'another-client', 'FileBackend')).toBe(failure);
  });
});
