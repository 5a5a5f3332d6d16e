import { NestFactory } from '@nestjs/core';
import { CachekitModule, CacheService } from 'nestjs-cachekit';
import { RedisBackend } from 'nestjs-cachekit/redis';

/** A machine that is busy with tests may need longer than the usual quarter of a second. */
const PATIENT = { readMs: 10_000, writeMs: 10_000 };

/** Prints what is stored under the key, and stores the value there: `node main.js redis://... key value` */
async function run(url: string, key: string, value: string): Promise<void> {
  const backend = Object.assign(new RedisBackend({ url }), { deadlines: PATIENT });
  const module = CachekitModule.forRoot(backend);
  const app = await NestFactory.createApplicationContext(module, { logger: ['error', 'warn'] });
  const cache = app.get(CacheService);
  console.log(`Found: ${await cache.get<string>(key)}`);
  await cache.set(key, value, '1m');
  await app.close();
}

const [url = '', key = '', value = ''] = process.argv.slice(2);
void run(url, key, value);
