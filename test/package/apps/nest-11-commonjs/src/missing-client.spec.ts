import { Test } from '@nestjs/testing';
import { CachekitModule, MissingClientError } from 'nestjs-cachekit';
import { RedisBackend } from 'nestjs-cachekit/redis';

describe('an app whose client package is not installed', () => {
  it('does not start, and says what to install', async () => {
    const start = async () => {
      const backend = new RedisBackend({ url: 'redis://127.0.0.1:6379' });
      const module = await Test.createTestingModule({ imports: [CachekitModule.forRoot(backend)] }).compile();
      await module.init();
    };
    const error: unknown = await start().catch((reason: unknown) => reason);

    expect(error).toBeInstanceOf(MissingClientError);
    expect((error as MissingClientError).message).toContain('npm install ioredis');
  });
});
