import { types } from 'node:util';
import type { CacheBackend, Stored } from '../../backends/cache-backend.js';
import type { DecodedEntry, Entry } from '../entry.js';
import { BrokenEntryError, CachekitConfigError, EntryTooLargeError } from '../errors.js';
import { decodeStored, ResidentView } from '../resident-entry.js';
import { nearName } from './near-name.js';

/**
 * A backend in this process: it answers at once, not with a promise, and `get` answers the very object that `set`
 * answered. `InMemoryBackend` is one.
 */
export interface NearBackend extends CacheBackend {
  get(key: string): Stored | undefined;
  set(key: string, bytes: Uint8Array, ttlMs: number): Stored;
  delete(keys: readonly string[]): void;
  clear(): void;
}

/** What is known of a copy. */
interface CopyLife {
  /** When the far tier was asked for it. */
  readonly askedAtMs: number;
  readonly endsAtMs: number;
  /** Whether it is the marker of a tag. */
  readonly isMarker: boolean;
}

/** What the far tier held, its version too. */
export class NearCopy extends ResidentView implements CopyLife {
  readonly askedAtMs: number;
  readonly endsAtMs: number;
  readonly isMarker: boolean;

  /**
   * @param kept what the near backend keeps
   * @param version the far tier's
   */
  constructor(kept: Stored, version: string, { askedAtMs, endsAtMs, isMarker }: CopyLife) {
    super(kept, version);
    this.askedAtMs = askedAtMs;
    this.endsAtMs = endsAtMs;
    this.isMarker = isMarker;
  }
}

/** Copies of what the far tier holds, by name, each until it is dropped or its time is over. */
export class NearCopies {
  /** By what the near backend answers, whose own versions mean nothing to the far tier. */
  private readonly copies = new WeakMap<Stored, NearCopy>();

  /** @param ttlMs how long a copy lives at most, counted from when the far tier was asked */
  constructor(
    private readonly backend: NearBackend,
    private readonly ttlMs: number,
  ) {}

  /** A copy whose time is not over. On the way of every hit. */
  get(name: string): NearCopy | undefined {
    const copy = this.find(name);
    return copy !== undefined && performance.now() < copy.endsAtMs ? copy : undefined;
  }

  /** Keeps what the far tier answered; where that is nothing to be kept, there is no copy any more. */
  learn(name: string, stored: Stored | undefined, askedAtMs: number): void {
    const known = this.find(name);
    if (known !== undefined && known.askedAtMs > askedAtMs) return;
    const entry = stored && decode(stored);
    if (entry !== undefined) this.dropOtherVersions(entry);
    const nowMs = performance.now();
    const endsAtMs = Math.min(askedAtMs + this.ttlMs, nowMs + freshForMs(entry));
    if (stored === undefined || entry?.kind === 'lease' || endsAtMs <= nowMs) this.drop([name]);
    else this.keep(name, stored, { askedAtMs, endsAtMs, isMarker: entry?.kind === 'tag' }, endsAtMs - nowMs);
  }

  drop(names: readonly string[]): void {
    this.backend.delete(names);
  }

  dropAll(): void {
    this.backend.clear();
  }

  private find(name: string): NearCopy | undefined {
    const kept = this.backend.get(name);
    return kept === undefined ? undefined : (this.copies.get(kept) ?? refuse(kept));
  }

  private keep(name: string, { bytes, version }: Stored, life: CopyLife, ttlMs: number): void {
    try {
      const kept = this.backend.set(name, bytes, ttlMs);
      this.copies.set(kept, new NearCopy(kept, version, life));
    } catch (error) {
      this.drop([name]);
      if (!(error instanceof EntryTooLargeError)) throw error;
    }
  }

  /**
   * An entry that lists a tag with another version than the copy of its marker: one of the two is older, and if it is
   * the marker, it would condemn a good entry. The far tier knows.
   */
  private dropOtherVersions({ tags }: Entry): void {
    for (const [marker, version] of tags) {
      const name = nearName(marker);
      const copy = this.find(name);
      if (copy !== undefined && versionIn(copy) !== version) this.drop([name]);
    }
  }
}

/** Whether these bytes are a lease, which is never kept near: who asks for one wants to know what it is now. */
export function isLease(bytes: Uint8Array): boolean {
  return decode({ bytes })?.kind === 'lease';
}

/** How long an entry stays fresh. One that is over is not kept, since the far tier may have a new one at any time. */
function freshForMs(entry: Entry | undefined): number {
  return entry === undefined ? Infinity : entry.freshUntilMs - Date.now();
}

function versionIn(marker: Stored): string | undefined {
  return decode(marker)?.text;
}

function decode(stored: Pick<Stored, 'bytes'>): DecodedEntry | undefined {
  try {
    return decodeStored(stored);
  } catch (error) {
    if (error instanceof BrokenEntryError) return undefined;
    throw error;
  }
}

/** @throws CachekitConfigError always */
function refuse(kept: Stored): never {
  // It is not waited for, and must not end the process.
  if (types.isPromise(kept)) kept.catch(() => undefined);
  throw new CachekitConfigError(
    'TieredBackend: `near` must be a backend in this process that answers at once and that nobody else writes to. ' +
      'Give it a new InMemoryBackend of its own.',
  );
}
