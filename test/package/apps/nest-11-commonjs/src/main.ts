import { NestFactory } from '@nestjs/core';
import { AppModule } from './app.module';

async function bootstrap() {
  const app = await NestFactory.create(AppModule, { logger: ['error', 'warn'] });
  await app.listen(0, '127.0.0.1');
  // Closes and does no more, so that a handle left open keeps the process alive.
  process.once('SIGTERM', () => void app.close());
  console.log(`Listening on ${await app.getUrl()}`);
}
bootstrap();
