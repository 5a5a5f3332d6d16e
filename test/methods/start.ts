import {
  type DynamicModule,
  type INestApplicationContext,
  Module,
  type Provider,
  type Type,
} from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { CachekitModule } from 'nestjs-cachekit';
import { onTestFinished } from 'vitest';

/** An app without a server. Default: one unnamed cache in memory. */
export interface AppSetup {
  readonly providers: readonly Provider[];
  readonly caches?: readonly DynamicModule[];
  readonly modules?: readonly (Type | DynamicModule)[];
}

/** Starts an app; it is closed after the test. What its log warns of goes to `warnings`. */
export async function start(
  { providers, caches = [CachekitModule.forRoot()], modules = [] }: AppSetup,
  warnings: string[] = [],
): Promise<INestApplicationContext> {
  class AppModule {}
  Module({ imports: [...caches, ...modules], providers: [...providers] })(AppModule);
  const warn = (message: unknown): number => warnings.push(String(message));
  const logger = { log() {}, error: warn, fatal() {}, warn };
  const app = await NestFactory.createApplicationContext(AppModule, { logger, abortOnError: false });
  // Not in an `afterEach` of this file: specs share a worker, and it would be a hook of the first of them only.
  onTestFinished(() => app.close());
  return app;
}

/** Starts an app with one provider. */
export async function provide<T>(type: Type<T>, warnings?: string[]): Promise<T> {
  return (await start({ providers: [type] }, warnings)).get(type);
}
