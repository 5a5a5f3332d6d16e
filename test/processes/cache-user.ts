// Runs in a process of its own, with the name of a backend and the address of its server: see `CacheUserProcess`.
import { once } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import { type CacheEvent, CacheService } from 'nestjs-cachekit';
import { patient, type RemoteBackend, REMOTE_BACKENDS } from '../remote-backends.js';
import {
  type Answer,
  type Asked,
  type Late,
  LOAD_TIMEOUT_MS,
  type LoadOrder,
  type Message,
  type Order,
  type WatchOrder,
} from './orders.js';
import { untilOpen } from './until-open.js';
import { WatchedKey } from './watched-key.js';

const TAGS = ['tag'];
const PAUSE_MS = 50;

const [name, address = ''] = process.argv.slice(2);

/** By namespace. */
const watched = new Map<string, WatchedKey>();

function obey(order: Order): Promise<unknown> {
  return isWatchOrder(order) ? watch(order) : load(order);
}

function isWatchOrder(order: Order): order is WatchOrder {
  return order.what === 'watch' || order.what === 'look' || order.what === 'stop watching';
}

async function watch(order: WatchOrder): Promise<unknown> {
  if (order.what === 'watch') {
    const begun = new WatchedKey(findRemote(), order);
    watched.set(order.namespace, begun);
    return begun.untilReady();
  }
  const one = watched.get(order.namespace);
  if (one === undefined) throw new Error(`Nothing is watched in ${order.namespace}.`);
  if (order.what === 'look') return one.look();
  watched.delete(order.namespace);
  return one.stop();
}

async function load(order: LoadOrder): Promise<unknown> {
  const failures: unknown[] = [];
  let outcome = 'nothing';
  const note = (event: CacheEvent): void => {
    if (event.type === 'error') failures.push(event.error);
    if (event.type === 'set') outcome = 'set';
    if (event.type === 'not-stored') outcome = event.reason;
  };
  const backend = patient(findRemote().make(address, order.namespace));
  await untilOpen(backend);
  const answer = await follow(order, new CacheService(backend, { onEvent: note }));
  // A process that can't use the backend would leave nothing behind either.
  if (failures.length > 0) throw failures[0];
  return order.what === 'stand still in a load' ? ({ value: answer, outcome } as Late) : answer;
}

function findRemote(): RemoteBackend {
  const remote = REMOTE_BACKENDS.find((one) => one.name === name);
  if (remote === undefined) throw new Error(`There is no backend ${name}.`);
  return remote;
}

function follow(order: LoadOrder, cache: CacheService): Promise<unknown> {
  if (order.what === 'stand still in a load') return standStillInLoad(cache, order);
  if (order.what === 'load without end') return loadWithoutEnd(cache, order);
  return askOften(cache, order);
}

function standStillInLoad(
  cache: CacheService,
  { key, value, lock }: LoadOrder & { what: 'stand still in a load' },
): Promise<string> {
  const load = (): string => {
    process.kill(process.pid, 'SIGSTOP');
    // A signal need not have arrived when `kill` returns. It has when this is over, and nothing else ran meanwhile.
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, PAUSE_MS);
    return value;
  };
  return cache.getOrSet(key, load, { tags: TAGS, lock, loadTimeout: LOAD_TIMEOUT_MS / 1_000 });
}

function loadWithoutEnd(cache: CacheService, { key, lock }: LoadOrder): Promise<void> {
  return new Promise((resolve, reject) => {
    const load = (): Promise<never> => {
      resolve();
      return new Promise(() => undefined);
    };
    cache.getOrSet(key, load, { lock }).catch(reject);
  });
}

async function askOften(
  cache: CacheService,
  { key, callers, lock }: LoadOrder & { what: 'ask often' },
): Promise<Asked> {
  let loads = 0;
  const load = async (): Promise<string> => {
    loads++;
    await delay(PAUSE_MS);
    return `loaded by ${process.pid}`;
  };
  const answers = await Promise.all(
    Array.from({ length: callers }, () => cache.getOrSet(key, load, { lock })),
  );
  return { loads, answers: [...new Set(answers)] };
}

function send(answer: Answer): void {
  process.send?.(answer);
}

process.on('message', ({ id, order }: Message) => {
  obey(order).then(
    (answer) => send({ id, answer }),
    (error: unknown) => send({ id, error: String(error) }),
  );
});
send({ id: 0 });
// What runs this module goes with the end of its evaluation, and later imports fail.
await once(process, 'disconnect');
process.exit();
