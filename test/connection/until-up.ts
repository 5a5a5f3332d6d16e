import type { CacheBackend } from 'nestjs-cachekit';
import { until } from '../servers/until.js';
import type { Seconds } from './fake-seconds.js';

/**
 * Resolves once the backend answers.
 *
 * @param seconds the clock of the test, of which one passes before each try. Absent: time passes by itself
 */
export function untilUp(backend: CacheBackend, seconds?: Seconds): Promise<void> {
  return until('the backend is up again', async () => {
    await seconds?.pass(1);
    try {
      await backend.get('key');
      return true;
    } catch {
      return false;
    }
  });
}
