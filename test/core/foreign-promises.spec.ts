import { CacheService, InMemoryBackend, type Stored } from 'nestjs-cachekit';
import { describe, expect, it, onTestFinished } from 'vitest';

/** One that is not of Node, as some libraries make them. */
function foreign<T>(promise: Promise<T>): Promise<T> {
  const copy = {};
  for (const method of ['then', 'catch', 'finally'] as const)
    Reflect.set(copy, method, promise[method].bind(promise));
  return copy as Promise<T>;
}

class ForeignBackend extends InMemoryBackend {
  failure: Error | undefined;

  override replace(...args: Parameters<InMemoryBackend['replace']>): never {
    const write = async (): Promise<Stored | undefined> => {
      if (this.failure) throw this.failure;
      return super.replace(...args);
    };
    return foreign(write()) as never;
  }
}

describe("A backend with promises that are not Node's", () => {
  it('stores what was loaded', async () => {
    const cache = new CacheService(new ForeignBackend());
    await cache.getOrSet('key', () => 'first');

    expect(await cache.getOrSet('key', () => 'second')).toBe('first');
  });

  it('may reject, and nobody calls the value stored', async () => {
    const unhandled: unknown[] = [];
    const note = (reason: unknown): number => unhandled.push(reason);
    process.on('unhandledRejection', note);
    onTestFinished(() => void process.off('unhandledRejection', note));
    const backend = new ForeignBackend();
    backend.failure = new Error('full');
    const cache = new CacheService(backend);
    await cache.getOrSet('key', () => 'value');
    await new Promise(setImmediate);

    expect(unhandled).toEqual([]);
    expect(cache.stats()).toMatchObject({ sets: 0, notStored: 1 });
  });
});
