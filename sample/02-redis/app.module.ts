import { Module } from '@nestjs/common';
import { CachekitModule } from 'nestjs-cachekit';
import { RedisBackend } from 'nestjs-cachekit/redis';
import { PlacesModule } from '../01-quickstart/places.module.js';

const url = process.env['REDIS_URL'] ?? 'redis://localhost:6379';

@Module({
  imports: [CachekitModule.forRoot(new RedisBackend({ url })), PlacesModule],
})
export class AppModule {}
