import type { PostgresBackend } from 'nestjs-cachekit/postgres';

const MINUTE_MS = 60_000;
const BYTES = Buffer.from('x');

/** Writes so many entries at once, each by a statement of its own, and tells of each 'stored' or the error. */
export function setAtOnce(backend: PostgresBackend, count: number): Promise<unknown[]> {
  const writes = Array.from({ length: count }, (_, index) => backend.set(`${index}`, BYTES, MINUTE_MS));
  return Promise.all(
    writes.map((write) =>
      write.then(
        () => 'stored',
        (error: unknown) => error,
      ),
    ),
  );
}
