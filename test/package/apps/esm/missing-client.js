import 'reflect-metadata';
import { Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { CachekitModule } from 'nestjs-cachekit';
import { RedisBackend } from 'nestjs-cachekit/redis';

class AppModule {}
Module({ imports: [CachekitModule.forRoot(new RedisBackend({ url: 'redis://127.0.0.1:6379' }))] })(AppModule);

const app = await NestFactory.create(AppModule, { logger: ['error', 'warn'] });
await app.listen(0, '127.0.0.1');
console.log(`Listening on ${await app.getUrl()}`);
