import { randomUUID } from 'node:crypto';
import { beforeAll, describe, expect, inject, it } from 'vitest';
import { describeOn } from '../servers/describe-on.js';
import { FreshApp } from './fresh-app.js';
import { packPackage } from './packed-package.js';
import { TypeScripts } from './typescript.js';

const LIMIT_MS = 300_000;

const typescripts = new TypeScripts();
const ioredis5 = new FreshApp('ioredis 5', ['redis', 'ioredis-5']);
const ioredis6 = new FreshApp('ioredis 6', ['redis', 'ioredis-6']);
const apps = [ioredis5, ioredis6];

beforeAll(async () => {
  const tarball = await packPackage();
  await Promise.all([typescripts.install(), ...apps.map((app) => app.install(tarball))]);
}, LIMIT_MS);

describe.each(apps)('nestjs-cachekit/redis beside $name', { timeout: LIMIT_MS }, (app) => {
  it('type-checks under TypeScript 5.9, 6.0 and 7.0 with skipLibCheck off', async () => {
    const complaints = await typescripts.compile(app, 'tsconfig.strict.json');

    expect(complaints).toEqual({ '5.9': '', '6.0': '', '7.0': '' });
  });

  describeOn('redis', 'on a Redis server', () => {
    beforeAll(async () => {
      await typescripts.compile(app, 'tsconfig.strict.json', ['7.0']);
    }, LIMIT_MS);

    it('keeps a value for the next process, and lets each process end by itself', async () => {
      const place = [inject('redisUrl'), randomUUID()];
      const first = await app.node('dist/7.0/main.js', ...place, 'Zürich').ended;
      const second = await app.node('dist/7.0/main.js', ...place, 'Genève').ended;

      expect(first).toEqual({ exit: 0, printed: 'Found: undefined\n' });
      expect(second).toEqual({ exit: 0, printed: 'Found: Zürich\n' });
    });

    it('passes the conformance suite, run by node:test', async () => {
      const { exit, printed } = await app.node('dist/7.0/redis.conformance.js', inject('redisUrl')).ended;

      expect(printed).toMatch(/^# fail 0$/m);
      expect(exit).toBe(0);
    });
  });
});

describe('moduleResolution node10, which TypeScript 5.9 and 6.0 still have', { timeout: LIMIT_MS }, () => {
  it('finds the types of every entry point', async () => {
    const complaints = await Promise.all([
      typescripts.compile(ioredis5, 'tsconfig.node10.json', ['5.9']),
      typescripts.compile(ioredis5, 'tsconfig.node10.typescript-6.0.json', ['6.0']),
    ]);

    expect(complaints).toEqual([{ '5.9': '' }, { '6.0': '' }]);
  });
});
