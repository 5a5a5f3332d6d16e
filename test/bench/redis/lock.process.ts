/** One of several processes that miss the same entry at the same time: `lock.process.js <url of Redis>`. */
import { Redis } from 'ioredis';
import { CacheService } from 'nestjs-cachekit';
import { RedisBackend } from 'nestjs-cachekit/redis';
import { answerQuestions } from '../measure/answer-questions.js';
import { patient } from '../../remote-backends.js';
import { LOADS_KEY, type LockQuestion } from './lock.js';

const url = process.argv[2] ?? '';
const redis = new Redis(url);
const backend = patient(new RedisBackend({ url, namespace: 'bench-lock' }));
const cache = new CacheService(backend);
await backend.open();
await redis.ping();

answerQuestions<LockQuestion>(async ({ key, calls }) => {
  const load = async (): Promise<string> => {
    await redis.incr(LOADS_KEY);
    // Longer than it takes the last of the processes to come.
    await new Promise((resolve) => {
      setTimeout(resolve, 500);
    });
    return 'loaded';
  };
  const answers = await Promise.all(
    Array.from({ length: calls }, () => cache.getOrSet(key, load, { ttl: '1h', lock: true })),
  );
  if (answers.some((answer) => answer !== 'loaded')) throw new Error('Somebody was answered something else.');
});
