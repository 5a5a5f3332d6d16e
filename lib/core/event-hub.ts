import { types } from 'node:util';
import { type EntryKey, readable } from './entry-key.js';
import { messageOf } from './errors.js';
import type { CacheEvent, CacheEventListener } from './events.js';
import { type CacheStats, EventCounts } from './stats.js';
import { warnOnce } from './warn-once.js';

/** Events that say nothing but a key. */
type KeyEvent = 'miss' | 'collapsed' | 'set' | 'delete' | 'evict' | 'refresh';

/** Counts what happens in a cache, and tells those who listen. */
export class EventHub {
  private readonly counts = new EventCounts();
  /** A new array with each change, so that a listener may come or go while it is told. */
  private listeners: readonly CacheEventListener[] = [];

  /** Tells this listener too, until the function that is answered is called. */
  listen(listener: CacheEventListener): () => void {
    this.listeners = [...this.listeners, listener];
    return () => {
      this.listeners = this.listeners.filter((one) => one !== listener);
    };
  }

  /** Counts an event and tells the listeners; one that throws does no harm to the operation it is told of. */
  readonly report = (event: CacheEvent): void => {
    this.counts.add(event);
    for (const listener of this.listeners) tell(listener, event);
  };

  /** Reports a hit: the event is only made if somebody listens. */
  hit(key: EntryKey, stale: boolean): void {
    if (this.listeners.length === 0) this.counts.addHit(stale);
    else this.report({ type: 'hit', key: readable(key), stale });
  }

  /** Reports what happened to a key. As with a hit: three of them are on the way of every miss. */
  reportKey(type: KeyEvent, key: EntryKey): void {
    if (this.listeners.length === 0) this.counts.addOne(type);
    else this.report({ type, key: readable(key) });
  }

  /** @param pendingInvalidations the only figure that is not a count of events */
  stats(pendingInvalidations: number): CacheStats {
    return this.counts.stats(pendingInvalidations);
  }
}

function tell(listener: CacheEventListener, event: CacheEvent): void {
  const complain = (error: unknown): void =>
    warnOnce('onEvent', `The onEvent listener of a cache threw: ${messageOf(error)}`);
  try {
    const told = listener(event);
    if (types.isPromise(told)) told.catch(complain);
  } catch (error) {
    complain(error);
  }
}
