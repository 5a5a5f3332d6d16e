import { NestFactory } from '@nestjs/core';
import { CachekitModule, CacheService } from 'nestjs-cachekit';
import { RedisBackend } from 'nestjs-cachekit/redis';

/** Prints what is stored under the key, and stores the value there: `node main.js redis://... key value` */
async function run(url: string, key: string, value: string): Promise<void> {
  const module = CachekitModule.forRoot(new RedisBackend({ url }));
  const app = await NestFactory.createApplicationContext(module, { logger: ['error', 'warn'] });
  const cache = app.get(CacheService);
  console.log(`Found: ${await cache.get<string>(key)}`);
  await cache.set(key, value, '1m');
  await app.close();
}

const [url = '', key = '', value = ''] = process.argv.slice(2);
void run(url, key, value);
