import type { Type } from '@nestjs/common';
import { afterAll, beforeAll, expect, inject, it, vi } from 'vitest';
import { describeOn } from '../servers/describe-on.js';
import { newSearch, startSample, type RunningSample } from './start-sample.js';

describeOn('redis', 'sample 02-redis', () => {
  let AppModule: Type;
  let sample: RunningSample;

  beforeAll(async () => {
    vi.stubEnv('REDIS_URL', inject('redisUrl'));
    ({ AppModule } = await import('../../sample/02-redis/app.module.js'));
    sample = await startSample(AppModule);
  });

  afterAll(async () => {
    await sample.app.close();
    vi.unstubAllEnvs();
  });

  it('answers the second request from Redis', async () => {
    const path = newSearch('Hamburg');
    const first = await sample.get(path);
    const second = await sample.get(path);

    expect(first.headers.get('cache-status')).toMatch(/^cachekit; fwd=uri-miss; stored/);
    expect(second.headers.get('cache-status')).toMatch(/^cachekit; hit; ttl=\d+$/);
    expect(await second.json()).toEqual(await first.json());
  });

  it('answers from Redis after a restart', async () => {
    const path = newSearch('Porto');
    const first = await sample.get(path);
    await sample.app.close();
    sample = await startSample(AppModule);
    const second = await sample.get(path);

    expect(second.headers.get('cache-status')).toMatch(/^cachekit; hit/);
    expect(await second.json()).toEqual(await first.json());
  });

  it('searches anew after a correction', async () => {
    const path = newSearch('Reykjavik');
    await sample.get(path);
    await sample.patch('/places/3413829', { population: 139_875 });
    const after = await sample.get(path);

    expect(after.headers.get('cache-status')).toMatch(/fwd=uri-miss/);
    expect(JSON.stringify(await after.json())).toContain('"population":139875');
  });
});
