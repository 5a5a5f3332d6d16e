import { type CacheBackend, InMemoryBackend, type MessageBus, TieredBackend } from 'nestjs-cachekit';
import { patient, type RemoteBackend } from '../remote-backends.js';
import type { TwoTiersOptions } from './orders.js';

/** Is told what goes on between the tiers of a process. */
export interface TiersListener {
  /** The far tier is asked for something. */
  readonly onFarRead: () => void;
  /** The bus is up or down from now on, and the tiers have heard of it. */
  readonly onBus: (isUp: boolean) => void;
}

const NOBODY: TiersListener = { onFarRead: () => undefined, onBus: () => undefined };

/** A near tier in this process before a far one, and how to close both. */
export function makeTwoTiers(
  { make }: RemoteBackend,
  { address, busAddress, namespace, nearTtlMs }: TwoTiersOptions,
  listener = NOBODY,
): { readonly backend: TieredBackend; readonly close: () => Promise<void> } {
  const far = patient(make(address, namespace));
  const carrier = busAddress === undefined ? undefined : make(busAddress, namespace);
  const backend = new TieredBackend({
    near: new InMemoryBackend(),
    far: watchFar(far, carrier ?? far, listener),
    nearTtl: `${nearTtlMs}ms`,
  });
  const close = async (): Promise<void> => {
    await backend.close();
    await carrier?.close();
  };
  return { backend, close };
}

/** The same backend with the bus of another, which tells what it is asked. */
function watchFar(far: CacheBackend, carrier: CacheBackend, listener: TiersListener): CacheBackend {
  const [get, getMany, makeBus] = [far.get.bind(far), far.getMany.bind(far), carrier.bus.bind(carrier)];
  return Object.assign(far, {
    get: (key: string) => {
      listener.onFarRead();
      return get(key);
    },
    getMany: (keys: readonly string[]) => {
      listener.onFarRead();
      return getMany(keys);
    },
    bus: () => watchBus(makeBus(), listener),
  });
}

function watchBus(bus: MessageBus | undefined, { onBus }: TiersListener): MessageBus {
  if (bus === undefined) throw new Error('It passes no messages.');
  return {
    listen: ({ onMessage, onUp, onDown }) =>
      bus.listen({
        onMessage,
        onUp: () => {
          onUp();
          onBus(true);
        },
        onDown: () => {
          onDown();
          onBus(false);
        },
      }),
    send: (text) => bus.send(text),
    close: () => bus.close(),
  };
}
