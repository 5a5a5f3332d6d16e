require('reflect-metadata');
const { Module } = require('@nestjs/common');
const { NestFactory } = require('@nestjs/core');
const { CachekitModule } = require('nestjs-cachekit');
const { RedisBackend } = require('nestjs-cachekit/redis');

class AppModule {}
Module({ imports: [CachekitModule.forRoot(new RedisBackend({ url: 'redis://127.0.0.1:6379' }))] })(AppModule);

async function bootstrap() {
  const app = await NestFactory.create(AppModule, { logger: ['error', 'warn'] });
  await app.listen(0, '127.0.0.1');
  console.log(`Listening on ${await app.getUrl()}`);
}
void bootstrap();
