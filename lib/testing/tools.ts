import { randomBytes } from 'node:crypto';

/** A key that no other test uses. */
export function anyKey(): string {
  return `key-${randomBytes(8).toString('hex')}`;
}

/** Bytes of a text. */
export function bytes(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}

/** The text of bytes; `undefined` for none. */
export function text(stored: { readonly bytes: Uint8Array } | undefined): string | undefined {
  return stored && new TextDecoder().decode(stored.bytes);
}

/** A promise that the test settles, and one that tells when the code under test has come to it. */
export interface Gate<T> {
  /** Give this as the load: it waits until `open` or `fail` is called. */
  readonly load: () => Promise<T>;
  /** Resolves when the load was called. */
  readonly reached: Promise<void>;
  readonly open: (value: T) => void;
  readonly fail: (error: Error) => void;
  /** How often the load was called. */
  readonly calls: () => number;
}

/** A load that ends when the test says so. */
export function gate<T>(): Gate<T> {
  let calls = 0;
  let open!: (value: T) => void;
  let fail!: (error: Error) => void;
  let reach!: () => void;
  const result = new Promise<T>((resolve, reject) => {
    open = resolve;
    fail = reject;
  });
  const reached = new Promise<void>((resolve) => {
    reach = resolve;
  });
  const load = (): Promise<T> => {
    calls++;
    reach();
    return result;
  };
  return { load, reached, open, fail, calls: () => calls };
}

/** Lets time pass: only for what is about time itself, which is expiry. */
export function pass(ms: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, ms);
  });
}
