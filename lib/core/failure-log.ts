import { Logger } from '@nestjs/common';
import { excerpt, messageOf } from './errors.js';
import type { CacheEvent } from './events.js';

/** A cache that is away fails thousands of times a minute: one line in this time says enough. */
const QUIET_MS = 30_000;

/** Without a failure for so long, a success counts: while one server of several is away, both come by turns. */
const SETTLED_MS = 5_000;

/** Events that only a backend that works can cause; a `miss` is also what a failed read is. */
const SUCCESSES: ReadonlySet<CacheEvent['type']> = new Set(['hit', 'set', 'delete', 'invalidate', 'clear']);

type ErrorEvent = Extract<CacheEvent, { type: 'error' }>;

interface Outage {
  readonly sinceMs: number;
  lastFailureMs: number;
  failures: number;
}

/** Says in the app's log that a cache fails, and that it works again, without drowning it. */
export class FailureLog {
  private readonly logger = new Logger('Cachekit');
  private readonly warnings = new QuietWindow();
  /** Failures that leave stale data: no other one may use up their line, nor they each other's. */
  private readonly losses = { evict: new QuietWindow(), put: new QuietWindow() };
  /** The app's own failures, which say nothing of the cache. */
  private readonly refreshes = new QuietWindow();
  private outage: Outage | undefined;

  /** @param cache its name, for the message */
  constructor(private readonly cache: string) {}

  /** Takes every event, and logs what a person should know. */
  readonly onEvent = (event: CacheEvent): void => {
    if (event.type === 'error') {
      this.failed(event);
    } else if (event.type === 'not-stored') {
      if (event.error === undefined || event.reason === 'backend') return;
      this.warn(`"${excerpt(event.key)}" was answered but not stored: ${messageOf(event.error)}`);
    } else if (event.type === 'refresh-failed') {
      this.refreshes.say(
        `"${excerpt(event.key)}" stays stale, since its load failed: ${messageOf(event.error)}`,
        (message) => this.logger.warn(`${this.cache}: ${message}`),
      );
    } else if (this.outage !== undefined && SUCCESSES.has(event.type)) {
      this.worked(this.outage);
    }
  };

  private failed({ operation, key, error }: ErrorEvent): void {
    if (operation === 'evict' || operation === 'put') {
      this.losses[operation].say(messageOf(error), (message) =>
        this.logger.error(`${this.cache}: ${message}`),
      );
      return;
    }
    // What can't be decoded was read: the backend works.
    if (operation !== 'decode') this.countFailure(Date.now());
    // A failure of the backend says its key by itself.
    const of = operation === 'decode' && key !== undefined ? ` for "${excerpt(key)}"` : '';
    this.warn(`the app goes on, but ${operation} failed${of}: ${messageOf(error)}`);
  }

  private countFailure(nowMs: number): void {
    this.outage ??= { sinceMs: nowMs, lastFailureMs: nowMs, failures: 0 };
    this.outage.lastFailureMs = nowMs;
    this.outage.failures++;
  }

  private worked({ sinceMs, lastFailureMs, failures }: Outage): void {
    const nowMs = Date.now();
    if (nowMs - lastFailureMs < SETTLED_MS) return;
    this.outage = undefined;
    // The next outage is news.
    this.warnings.end();
    const seconds = Math.round((nowMs - sinceMs) / 1_000);
    this.logger.log(
      `${this.cache}: works again after ${seconds} s, ${failures} failure${failures === 1 ? '' : 's'}`,
    );
  }

  private warn(text: string): void {
    this.warnings.say(text, (message) => this.logger.warn(`${this.cache}: ${message}`));
  }
}

/** Lets one message through in `QUIET_MS`, and counts the others. */
class QuietWindow {
  private untilMs = 0;
  private unsaid = 0;

  say(message: string, log: (message: string) => void): void {
    const nowMs = Date.now();
    if (nowMs < this.untilMs) {
      this.unsaid++;
      return;
    }
    const more = this.unsaid === 0 ? '' : ` (and ${this.unsaid} more like it since the last message)`;
    log(`${message}${more}`);
    this.untilMs = nowMs + QUIET_MS;
    this.unsaid = 0;
  }

  /** The next message is said, and what was kept back is forgotten. */
  end(): void {
    this.untilMs = 0;
    this.unsaid = 0;
  }
}
