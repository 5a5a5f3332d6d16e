/** The process of a backend or of its bare client: `backend.process.js <ours | bare> <backend> <address of the server>`. */
import { CacheService } from 'nestjs-cachekit';
import { REMOTE_BACKENDS } from '../../remote-backends.js';
import { answerQuestions } from '../measure/answer-questions.js';
import { rateOfLongCalls } from '../measure/lanes.js';
import { type Item, itemsOf } from '../measure/payload.js';
import { BARE_CLIENTS } from './bare-clients.js';
import {
  type BackendAnswer,
  type BackendCall,
  type BackendContestant,
  type BackendQuestion,
  KEYS_AT_ONCE,
} from './contestant.js';

const STORED = 500;
const make = itemsOf('60 B');
const keyOf = (index: number): string => `item:${index % STORED}`;

/** What the backend stumbled over during this question. */
const outages: string[] = [];

const [side = '', name = '', address = ''] = process.argv.slice(2);
const contestant = side === 'ours' ? await ours() : await bare();
await store();

answerQuestions<BackendQuestion>(async ({ call, concurrency, durationMs }): Promise<BackendAnswer> => {
  outages.length = 0;
  try {
    return await rateOfLongCalls({ concurrency, durationMs }, calls[call]);
  } catch (error) {
    // An entry that is missing because the server was too slow says something about this server, and is said so.
    const [outage] = outages;
    if (outage === undefined) throw error;
    return { outage };
  }
});

async function ours(): Promise<BackendContestant> {
  const backend = REMOTE_BACKENDS.find((candidate) => candidate.name === name);
  if (backend === undefined) throw new Error(`There is no ${name}.`);
  // A machine that is busy, or an emulator, is no reason to measure misses.
  const deadlines = { readMs: 60_000, writeMs: 60_000 };
  const cache = new CacheService(Object.assign(backend.make(address, 'bench'), { deadlines }), {
    onEvent: (event) => {
      if (event.type === 'error') outages.push(messageOf(event.error));
    },
  });
  return {
    get: (key) => cache.get<Item>(key),
    getMany: (keys) => cache.getMany<Item>(keys),
    set: (key, item) => cache.set(key, item, '1h'),
    getOrSet: (key, load) => cache.getOrSet(key, load, '1h'),
  };
}

async function bare(): Promise<BackendContestant> {
  const create = BARE_CLIENTS[name];
  if (create === undefined) throw new Error(`There is no bare client for ${name}.`);
  return create(address);
}

async function store(): Promise<void> {
  for (let index = 0; index < STORED; index++) await contestant.set(keyOf(index), make(index));
}

const calls: Readonly<Record<BackendCall, (index: number) => Promise<void>>> = {
  get: async (index) => check(index, await contestant.get(keyOf(index))),
  set: (index) => contestant.set(keyOf(index), make(index % STORED)),
  'getMany(100)': async (index) => {
    const indices = Array.from({ length: KEYS_AT_ONCE }, (_, offset) => index + offset);
    const items = await contestant.getMany(indices.map(keyOf));
    for (const [offset, item] of items.entries()) check(index + offset, item);
  },
  'getOrSet hit': async (index) => {
    if (contestant.getOrSet === undefined) return check(index, await contestant.get(keyOf(index)));
    const load = (): Promise<Item> => Promise.reject(new Error(`${keyOf(index)} is not stored.`));
    check(index, await contestant.getOrSet(keyOf(index), load));
  },
};

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

function check(index: number, item: Item | undefined): void {
  if (item?.id !== index % STORED)
    throw new Error(`${name}, ${side}: ${keyOf(index)} is ${JSON.stringify(item)}.`);
}
