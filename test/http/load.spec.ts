import { randomUUID } from 'node:crypto';
import { Agent, get as httpGet } from 'node:http';
import { setTimeout as delay } from 'node:timers/promises';
import { Controller, Get, Module, Put } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { FastifyAdapter } from '@nestjs/platform-fastify';
import {
  type CacheBackend,
  Cached,
  CachekitModule,
  type CacheEvent,
  CacheEvict,
  CacheService,
} from 'nestjs-cachekit';
import { RedisBackend } from 'nestjs-cachekit/redis';
import { afterAll, beforeAll, expect, it, onTestFinished } from 'vitest';
import { FaultProxy } from '../faults/fault-proxy.js';
import { describeOn } from '../servers/describe-on.js';
import { startRedis } from '../servers/redis.server.js';
import type { ServerProcess } from '../servers/server-process.js';
import { until } from '../servers/until.js';

const CLIENTS = 50;
const PHASE_MS = 1_500;
/** After that, hits would not come back at all. How long it takes is printed: it says as much of the machine. */
const LONGEST_RECOVERY_MS = 20_000;
const EVICT_EVERY_MS = 100;
/** Longer than a machine that is busy with other tests stands still, which is not what the test is about. */
const LONG_DEADLINE_MS = 3_000;

let price = 1;

@Controller('price')
class PriceController {
  @Get()
  @Cached({ ttl: '1h', tags: ['price'] })
  find(): { price: number } {
    return { price };
  }

  @Put()
  @CacheEvict({ tags: ['price'] })
  raise(): { price: number } {
    return { price: ++price };
  }
}

/** What clients saw in one phase. */
interface Figures {
  requests: number;
  failed: number;
  hits: number;
  /** Answers older than an eviction that was acknowledged before they were asked for. */
  outdated: number;
  slowestMs: number;
}

/** Clients that ask as fast as they are answered, and one that evicts; all of them judge every answer. */
class Load {
  figures: Figures = fresh();
  private readonly agent = new Agent({ keepAlive: true, maxSockets: CLIENTS });
  private readonly tasks: Promise<void>[];
  private stopped = false;
  /** The price that every answer to a question asked from now on must reach. */
  private floor = 0;

  constructor(private readonly url: string) {
    this.tasks = Array.from({ length: CLIENTS }, () => this.repeat(() => this.ask(), 5));
    this.tasks.push(this.repeat(() => this.evict(), EVICT_EVERY_MS));
  }

  /** Runs for a while, and until all clients were answered; answers what happened meanwhile. */
  async phase(ms: number): Promise<Figures> {
    this.figures = fresh();
    await delay(ms);
    await until('all clients are answered', async () => this.figures.requests > CLIENTS);
    return this.figures;
  }

  /** How long it takes until an answer comes out of the cache. @throws Error if none does */
  async untilHit(): Promise<number> {
    const since = performance.now();
    this.figures = fresh();
    while (this.figures.hits === 0) {
      if (performance.now() - since > LONGEST_RECOVERY_MS) throw new Error('No hit, though Redis is there.');
      await delay(10);
    }
    return performance.now() - since;
  }

  async stop(): Promise<void> {
    this.stopped = true;
    await Promise.all(this.tasks);
    this.agent.destroy();
  }

  private async repeat(work: () => Promise<void>, pauseMs: number): Promise<void> {
    while (!this.stopped) {
      await work();
      await delay(pauseMs);
    }
  }

  private async ask(): Promise<void> {
    const { floor, figures } = this;
    const since = performance.now();
    const answer = await this.send('GET');
    figures.requests++;
    figures.slowestMs = Math.max(figures.slowestMs, performance.now() - since);
    if (answer?.status !== 200) figures.failed++;
    else if (answer.price < floor) figures.outdated++;
    if (answer?.cache?.includes('hit') === true) figures.hits++;
  }

  private async evict(): Promise<void> {
    const answer = await this.send('PUT');
    if (answer?.status === 200) this.floor = answer.price;
    else this.figures.failed++;
  }

  private send(
    method: string,
  ): Promise<{ status: number; price: number; cache: string | undefined } | undefined> {
    return new Promise((resolve) => {
      const request = httpGet(`${this.url}/price`, { method, agent: this.agent }, (response) => {
        let body = '';
        response.setEncoding('utf8');
        response.on('data', (text: string) => (body += text));
        response.on('end', () => {
          const cache = response.headers['cache-status'];
          const { price: told } = JSON.parse(body) as { price: number };
          resolve({ status: response.statusCode ?? 0, price: told, cache: cache?.toString() });
        });
      });
      request.on('error', () => resolve(undefined));
    });
  }
}

function fresh(): Figures {
  return { requests: 0, failed: 0, hits: 0, outdated: 0, slowestMs: 0 };
}

/** Does something again and again until the function that it answers is called. */
function again(everyMs: number, work: () => void): () => void {
  const timer = setInterval(work, everyMs);
  return () => clearInterval(timer);
}

/** Lets the event loop stand still, as a large report or a slow library does. */
function blockEventLoop(ms: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
}

function redisAt(url: string): RedisBackend {
  return new RedisBackend({ url, namespace: randomUUID() });
}

/** An app on this backend, under load until it is stopped. */
async function startApp(
  backend: CacheBackend,
): Promise<{ load: Load; events: CacheEvent[]; stop: () => Promise<void> }> {
  @Module({
    imports: [CachekitModule.forRoot(backend)],
    controllers: [PriceController],
  })
  class AppModule {}
  const app = await NestFactory.create(AppModule, new FastifyAdapter(), { logger: false });
  await app.listen(0, '127.0.0.1');
  const events: CacheEvent[] = [];
  app.get(CacheService).events$.subscribe((event) => events.push(event));
  const load = new Load(await app.getUrl());
  await load.untilHit();
  const stop = async (): Promise<void> => {
    await load.stop();
    await app.close();
  };
  return { load, events, stop };
}

const report: Record<string, Record<string, number>> = {};

/** Redis is broken for a phase, then healed; whatever happens, no client may notice. */
async function survives(
  name: string,
  load: Load,
  breakIt: () => unknown,
  heal: () => unknown,
): Promise<void> {
  await breakIt();
  const during = await load.phase(PHASE_MS);
  await heal();
  const backAfterMs = await load.untilHit();
  const after = await load.phase(300);
  const figures = {
    requests: during.requests,
    failed: during.failed + after.failed,
    outdated: during.outdated + after.outdated,
    'slowest ms': Math.round(Math.max(during.slowestMs, after.slowestMs)),
    'hits again after ms': Math.round(backAfterMs),
  };
  report[name] = figures;
  expect(figures).toMatchObject({ failed: 0, outdated: 0 });
}

describeOn('redis process', 'An app under the load of 50 clients', () => {
  let redis: ServerProcess;
  let proxy: FaultProxy;
  let load: Load;
  let stopApp: () => Promise<void>;

  beforeAll(async () => {
    redis = await startRedis();
    proxy = await FaultProxy.to(redis.port);
    ({ load, stop: stopApp } = await startApp(redisAt(`redis://127.0.0.1:${proxy.port}`)));
  });
  afterAll(async () => {
    await stopApp();
    await proxy.takeDown();
    await redis.stop();
    console.table(report);
  });

  it('serves on while every connection is cut again and again', async () => {
    let stop: () => void;
    const begin = (): void => {
      stop = again(50, () => proxy.cut('rst'));
    };
    await survives('cut', load, begin, () => stop());
  });

  it('serves on while answers are cut in the middle', async () => {
    let stop: () => void;
    const begin = (): void => {
      stop = again(50, () => proxy.cutAnswerAfter(Math.ceil(Math.random() * 200), 'rst'));
    };
    await survives('cut in mid-answer', load, begin, () => stop());
  });

  it('serves on while Redis is stalled', async () => {
    await survives(
      'stalled',
      load,
      () => proxy.stall(),
      () => proxy.pass(),
    );
  });

  it('serves on while everything is lost on the way', async () => {
    const end = (): void => {
      proxy.pass();
      proxy.cut('rst');
    };
    await survives('black hole', load, () => proxy.blackhole(), end);
  });

  it('serves on while Redis is killed and started again', async () => {
    await survives(
      'killed',
      load,
      () => redis.kill(),
      () => redis.restart(),
    );
  });

  it('serves on while Redis is frozen', async () => {
    await survives(
      'frozen',
      load,
      () => redis.freeze(),
      () => redis.thaw(),
    );
  });

  it('does not call a healthy Redis down when its own event loop stands still beyond a deadline', async () => {
    const deadlines = { readMs: LONG_DEADLINE_MS, writeMs: LONG_DEADLINE_MS };
    // Not through the proxy, which stands still with this process, and would be what is late.
    const direct = await startApp(Object.assign(redisAt(redis.url), { deadlines }));
    onTestFinished(direct.stop);
    direct.events.length = 0;
    const block = async (): Promise<void> => {
      for (let times = 0; times < 2; times++) {
        await delay(200);
        blockEventLoop(LONG_DEADLINE_MS + 300);
      }
    };
    let blocked: Promise<void>;
    const begin = (): void => {
      blocked = block();
    };
    await survives('event loop blocked', direct.load, begin, () => blocked);
    expect(direct.events.filter(({ type }) => type === 'error' || type === 'breaker')).toEqual([]);
  });
});
