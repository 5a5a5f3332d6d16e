import { Logger } from '@nestjs/common';
import { excerpt, messageOf } from './errors.js';
import type { CacheEvent } from './events.js';

/** A cache that is away fails thousands of times a minute: one line in this time says enough. */
const QUIET_MS = 30_000;

/** Says in the app's log that a cache fails, without drowning it. */
export class FailureLog {
  private readonly logger = new Logger('Cachekit');
  private quietUntilMs = 0;
  private unsaid = 0;

  /** @param cache its name, for the message */
  constructor(private readonly cache: string) {}

  /** Takes every event, and logs what a person should know. */
  readonly onEvent = (event: CacheEvent): void => {
    if (event.type === 'error') {
      this.warn(`the app goes on, but ${event.operation} failed: ${messageOf(event.error)}`);
    } else if (event.type === 'not-stored' && event.error !== undefined && event.reason !== 'backend') {
      this.warn(`"${excerpt(event.key)}" was answered but not stored: ${messageOf(event.error)}`);
    }
  };

  private warn(message: string): void {
    const nowMs = Date.now();
    if (nowMs < this.quietUntilMs) {
      this.unsaid++;
      return;
    }
    const more = this.unsaid === 0 ? '' : ` (and ${this.unsaid} more like it since the last message)`;
    this.logger.warn(`${this.cache}: ${message}${more}`);
    this.quietUntilMs = nowMs + QUIET_MS;
    this.unsaid = 0;
  }
}
