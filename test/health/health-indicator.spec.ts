import { Controller, Get, Inject } from '@nestjs/common';
import { HealthCheck, type HealthCheckResult, HealthCheckService, TerminusModule } from '@nestjs/terminus';
import { Test } from '@nestjs/testing';
import {
  CachekitConfigError,
  CachekitHealthIndicator,
  CachekitModule,
  CacheService,
  InMemoryBackend,
} from 'nestjs-cachekit';
import { describe, expect, it, onTestFinished } from 'vitest';

@Controller('health')
class HealthController {
  constructor(
    @Inject(HealthCheckService) private readonly health: HealthCheckService,
    @Inject(CachekitHealthIndicator) private readonly cache: CachekitHealthIndicator,
  ) {}

  @Get()
  @HealthCheck()
  check(): Promise<HealthCheckResult> {
    return this.health.check([
      () => this.cache.isHealthy('cache'),
      () => this.cache.isHealthy('sessions', { cache: 'sessions' }),
    ]);
  }
}

async function startApp(backend: InMemoryBackend): Promise<{ url: string; cache: CacheService }> {
  const module = await Test.createTestingModule({
    imports: [
      TerminusModule.forRoot({ logger: false }),
      CachekitModule.forRoot(backend),
      CachekitModule.forRoot(new InMemoryBackend(), { name: 'sessions' }),
    ],
    controllers: [HealthController],
  }).compile();
  const app = module.createNestApplication({ logger: false });
  await app.listen(0, '127.0.0.1');
  onTestFinished(() => app.close());
  return { url: `${await app.getUrl()}/health`, cache: app.get(CacheService) };
}

function refuse(backend: InMemoryBackend, operation: 'set' | 'get' | 'delete'): void {
  backend[operation] = () => {
    throw new Error('connection refused');
  };
}

describe('The health indicator, with terminus,', () => {
  it('is up while the cache works', async () => {
    const { url } = await startApp(new InMemoryBackend());
    const answer = await fetch(url);
    expect(answer.status).toBe(200);
    const up = { status: 'up', backend: 'InMemoryBackend' };
    expect(await answer.json()).toMatchObject({ status: 'ok', details: { cache: up, sessions: up } });
  });

  it.each(['set', 'get'] as const)('is down, with the reason, when %s fails', async (operation) => {
    const backend = new InMemoryBackend();
    const { url } = await startApp(backend);
    refuse(backend, operation);
    const answer = await fetch(url);
    expect(answer.status).toBe(503);
    const message = expect.stringContaining('connection refused') as unknown;
    expect(await answer.json()).toMatchObject({
      status: 'error',
      error: { cache: { status: 'down', backend: 'InMemoryBackend', message } },
      info: { sessions: { status: 'up' } },
    });
  });

  it('tells how many invalidations are pending', async () => {
    const backend = new InMemoryBackend();
    const { url, cache } = await startApp(backend);
    refuse(backend, 'delete');
    await expect(cache.delete(['a', 'b'])).rejects.toThrow('connection refused');
    refuse(backend, 'set');
    expect(await (await fetch(url)).json()).toMatchObject({ error: { cache: { pendingInvalidations: 2 } } });
  });

  it('leaves nothing that the app can see', async () => {
    const backend = new InMemoryBackend();
    const { url, cache } = await startApp(backend);
    await fetch(url);
    expect(cache.stats()).toMatchObject({ hits: 0, misses: 0, sets: 0 });
    await cache.clear();
  });
});

describe('The health indicator', () => {
  it('refuses a cache that the app does not have', async () => {
    const module = await Test.createTestingModule({ imports: [CachekitModule.forRoot()] }).compile();
    onTestFinished(() => module.close());
    const indicator = module.get(CachekitHealthIndicator, { strict: false });
    await expect(indicator.isHealthy('cache', { cache: 'sesions' })).rejects.toThrow(CachekitConfigError);
    await expect(indicator.isHealthy('cache', { cache: 'sesions' })).rejects.toThrow(
      /no cache named "sesions"/,
    );
    await expect(indicator.isHealthy()).resolves.toMatchObject({ cache: { status: 'up' } });
  });
});
