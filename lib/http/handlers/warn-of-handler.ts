import { warnOnce } from '../../core/warn-once.js';

/**
 * Says once what the author of a handler should know.
 *
 * @param place where the handler was decorated: `@Cached on CatsController.find`
 * @param message must hold nothing of a request: the same one is not said again for this handler
 * @param error what the author's code threw, if that is what it is about
 */
export function warnOfHandler(place: string, message: string, error?: unknown): void {
  const cause = error === undefined ? '' : ` (${error instanceof Error ? error.message : typeof error})`;
  warnOnce(`${place}: ${message}`, `${place}: ${message}.${cause}`);
}
