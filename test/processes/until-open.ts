import type { CacheBackend } from 'nestjs-cachekit';
import { until } from '../servers/until.js';

/**
 * Opens a backend. On a machine that is busy with other tests that can take longer than `open`, or a first operation,
 * waits for it; the backend goes on in the background.
 */
export function untilOpen(backend: CacheBackend): Promise<void> {
  return until('the backend is open', () =>
    backend.open().then(
      () => true,
      () => false,
    ),
  );
}
