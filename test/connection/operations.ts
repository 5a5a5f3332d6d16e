import type { CacheBackend } from 'nestjs-cachekit';

export const MINUTE_MS = 60_000;
export const BYTES = Buffer.from('x');

/** One of each kind, with its name. */
export const OPERATIONS: readonly (readonly [string, (backend: CacheBackend) => Promise<unknown>])[] = [
  ['get', async (backend) => backend.get('key')],
  ['getMany', async (backend) => backend.getMany(['key', 'other'])],
  ['set', async (backend) => backend.set('key', BYTES, MINUTE_MS)],
  ['replace', async (backend) => backend.replace('key', undefined, BYTES, MINUTE_MS)],
  ['delete', async (backend) => backend.delete(['key'])],
  ['clear', async (backend) => backend.clear()],
];

/** Begins all of them at once. */
export function beginAll(backend: CacheBackend): Promise<unknown>[] {
  return OPERATIONS.map(([, operate]) => operate(backend));
}
