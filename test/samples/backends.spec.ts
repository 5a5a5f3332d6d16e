import { readFile, rm, writeFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import type { Type } from '@nestjs/common';
import { afterAll, beforeAll, expect, inject, it, vi } from 'vitest';
import { describeOn } from '../servers/describe-on.js';
import type { Need } from '../servers/need.js';
import { newSearch, startSample, type RunningSample } from './start-sample.js';

const FOLDER = resolve('sample/03-backends');

/** The backends of the sample, with the servers they need and the variables that name them. */
const BACKENDS: readonly [name: string, need: Need, env: () => Readonly<Record<string, string>>][] = [
  ['redis', 'redis', () => ({ REDIS_URL: inject('redisUrl') })],
  ['postgres', 'postgres', () => ({ POSTGRES_URL: inject('postgresUrl') })],
  ['memcached', 'memcached', () => ({ MEMCACHED_URL: inject('memcachedUrl') })],
  ['mongodb', 'mongodb', () => ({ MONGODB_URL: inject('mongodbUrl') })],
  ['firestore', 'firestore', () => ({ FIRESTORE_EMULATOR_HOST: inject('firestoreHost') })],
  ['dynamodb', 'dynamodb', () => ({ DYNAMODB_URL: inject('dynamodbUrl') })],
];

for (const [name, need, env] of BACKENDS) {
  describeOn(need, `sample 03-backends on ${name}`, () => {
    const copy = resolve(FOLDER, `app.module.${name}.under-test.ts`);
    let sample: RunningSample;

    beforeAll(async () => {
      for (const [variable, value] of Object.entries(env())) vi.stubEnv(variable, value);
      const module = await readFile(resolve(FOLDER, 'app.module.ts'), 'utf8');
      const changed = module.replace(`'./backends/in-memory.js'`, `'./backends/${name}.js'`);
      expect(changed).not.toBe(module);
      await writeFile(copy, changed);
      const { AppModule } = (await import(/* @vite-ignore */ copy)) as { AppModule: Type };
      sample = await startSample(AppModule);
    });

    afterAll(async () => {
      await sample.app.close();
      await rm(copy);
      vi.unstubAllEnvs();
    });

    it('answers the second request from the cache, and searches anew after a correction', async () => {
      const path = newSearch('Reykjavik');
      const first = await sample.get(path);
      const second = await sample.get(path);
      expect(first.headers.get('cache-status')).toBe('cachekit; fwd=uri-miss; stored');
      expect(second.headers.get('cache-status')).toMatch(/^cachekit; hit; ttl=\d+$/);
      expect(await second.json()).toEqual(await first.json());

      await sample.patch('/places/3413829', { population: 139_875 });
      expect((await sample.get(path)).headers.get('cache-status')).toBe('cachekit; fwd=uri-miss; stored');
    });
  });
}
