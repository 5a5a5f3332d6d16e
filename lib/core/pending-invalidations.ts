import { withDeadline } from './deadline.js';
import type { TagVersion } from './entry.js';
import type { EntryKey } from './entry-key.js';
import type { CacheEventListener } from './events.js';
import type { Store } from './store.js';
import type { TagMarkers } from './tag-markers.js';

/** More than this are kept as one pending `clear`. */
const MOST_PENDING = 10_000;

/**
 * The invalidations of this process that could not be written. They are written before anything they cover is read
 * again; until then, what they cover is a miss. Only this process knows of them, and forgets them when it ends.
 */
export class PendingInvalidations {
  /** Each with the number of its last addition: what is added again while it is being written stays pending. */
  private readonly keys = new Map<EntryKey, number>();
  private readonly markers = new Map<EntryKey, number>();
  private clearing = 0;
  private additions = 0;
  private writing: Promise<void> | undefined;

  constructor(
    private readonly store: Store,
    private readonly tags: TagMarkers,
    private readonly report: CacheEventListener,
  ) {}

  /** Asked before every read, so it costs nothing while all is well. */
  get none(): boolean {
    return this.keys.size === 0 && this.markers.size === 0 && this.clearing === 0;
  }

  /** How many there are; `Infinity` for a whole `clear`. */
  get count(): number {
    return this.clearing > 0 ? Infinity : this.keys.size + this.markers.size;
  }

  addKeys(keys: readonly EntryKey[]): void {
    for (const key of keys) this.keys.set(key, ++this.additions);
    this.limit();
  }

  addMarkers(markers: readonly EntryKey[]): void {
    for (const marker of markers) this.markers.set(marker, ++this.additions);
    this.limit();
  }

  addClear(): void {
    this.clearing = ++this.additions;
    this.keys.clear();
    this.markers.clear();
  }

  /**
   * A point in time, to be taken before an operation is sent that settles something: what is added after it is not
   * settled by that operation, however late it is answered.
   */
  now(): number {
    return this.additions;
  }

  /** These were written, by an operation that was sent at that point. */
  settleKeys(keys: readonly EntryKey[], sentAt: number): void {
    for (const key of keys) if ((this.keys.get(key) ?? 0) <= sentAt) this.keys.delete(key);
  }

  settleMarkers(markers: readonly EntryKey[], sentAt: number): void {
    for (const marker of markers) if ((this.markers.get(marker) ?? 0) <= sentAt) this.markers.delete(marker);
  }

  settleAll(sentAt: number): void {
    if (this.clearing <= sentAt) this.clearing = 0;
    this.settleKeys([...this.keys.keys()], sentAt);
    this.settleMarkers([...this.markers.keys()], sentAt);
  }

  covers(key: EntryKey, markers: readonly EntryKey[]): boolean {
    return this.clearing > 0 || this.keys.has(key) || this.coversAny(markers);
  }

  coversAny(markers: readonly EntryKey[]): boolean {
    return this.clearing > 0 || markers.some((marker) => this.markers.has(marker));
  }

  coversTags(tags: readonly TagVersion[]): boolean {
    return this.clearing > 0 || tags.some(([marker]) => this.markers.has(marker as EntryKey));
  }

  /**
   * Writes what is pending. All who wait share one attempt, and none waits longer than for a read.
   *
   * @throws CachekitError if the backend fails still, or takes too long; all stays pending then
   */
  async write(): Promise<void> {
    this.writing ??= this.writeNow().finally(() => {
      this.writing = undefined;
    });
    await withDeadline(this.writing, this.store.readDeadlineMs, () => 'Writing pending invalidations');
  }

  /**
   * Writes what is pending for a key that is about to be written: later, it would remove the new value. Never rejects:
   * the backend may take the new value all the same, which then stands in for a `delete`.
   */
  async writeBefore(key: EntryKey): Promise<void> {
    if (!this.covers(key, [])) return;
    try {
      await this.write();
    } catch {
      // The store reported it.
    }
  }

  private async writeNow(): Promise<void> {
    const { clearing } = this;
    if (clearing > 0) {
      await this.store.clear();
      if (this.clearing === clearing) this.clearing = 0;
    }
    // Not before: a clear takes its time, in which others of them may be settled by a write.
    const [keys, markers] = [[...this.keys], [...this.markers]];
    if (keys.length > 0) await this.store.delete(keys.map(([key]) => key));
    await this.tags.invalidate(markers.map(([marker]) => marker));
    settle(this.keys, keys);
    settle(this.markers, markers);
    this.report({ type: 'caught-up', keys: keys.length, tags: markers.length, clear: clearing > 0 });
  }

  private limit(): void {
    if (this.keys.size + this.markers.size > MOST_PENDING) this.addClear();
  }
}

/** Removes what was written, but for what was added again meanwhile. */
function settle(pending: Map<EntryKey, number>, written: readonly (readonly [EntryKey, number])[]): void {
  for (const [key, addition] of written) if (pending.get(key) === addition) pending.delete(key);
}
