import { Logger } from '@nestjs/common';

const logger = new Logger('Cachekit');
const said = new Set<string>();
/** A place may name what a client sent; it must not fill the memory, nor the log. */
const MOST_SAID = 1_000;

/**
 * Logs a warning, the first time that this place has something to warn of.
 *
 * @param place what is warned of and where: `ttl of CacheService.set`
 */
export function warnOnce(place: string, message: string): void {
  if (said.has(place) || said.size >= MOST_SAID) return;
  said.add(place);
  logger.warn(message);
}
