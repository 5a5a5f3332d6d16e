import { type IncomingHttpHeaders, type OutgoingHttpHeaders, request as sendRequest } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type DynamicModule, type INestApplication, Module, type Provider, type Type } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { FastifyAdapter } from '@nestjs/platform-fastify';
import { CachekitModule, type CachekitOptions, InMemoryBackend } from 'nestjs-cachekit';
import { onTestFinished } from 'vitest';

/** The two platforms that Nest runs on. */
export const PLATFORMS = ['Express', 'Fastify'] as const;
export type Platform = (typeof PLATFORMS)[number];

/** What tests set of an Express app. */
export interface ExpressApp {
  set(setting: string, value: unknown): void;
  engine(extension: string, render: (...call: never[]) => void): void;
}

/** The Express app under a Nest app. */
export function expressOf(app: INestApplication): ExpressApp {
  return app.getHttpAdapter().getInstance() as ExpressApp;
}

/** An app to serve. Defaults: no providers, one unnamed cache in memory, nothing configured. */
export interface AppSetup extends CachekitOptions {
  readonly controllers: readonly Type[];
  readonly providers?: readonly Provider[];
  /** What gives the app its caches. */
  readonly caches?: readonly DynamicModule[];
  /** Called before the app is initialized, as in `main.ts`. */
  readonly configure?: (app: INestApplication) => unknown;
}

/** What a client got. */
export interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
  /** The header `Cache-Status`. */
  readonly cache: string | undefined;
}

interface Sending {
  readonly method?: string;
  readonly body?: string;
}

/** An app on a real socket. */
export class Server {
  constructor(
    readonly app: INestApplication,
    /** What the app's log warned of. */
    readonly warnings: readonly string[],
  ) {}

  get(path: string, headers: OutgoingHttpHeaders | readonly string[] = {}): Promise<Answer> {
    return this.send(path, headers, {});
  }

  /** What a client reads of an answer that does not end, up to a text; then it goes away. */
  readUntil(path: string, text: string): Promise<string> {
    const { port } = (this.app.getHttpServer() as { address(): AddressInfo }).address();
    return new Promise((resolve, reject) => {
      const sent = sendRequest({ host: '127.0.0.1', port, path, agent: false }, (response) => {
        let read = '';
        response.on('data', (chunk: Buffer) => {
          read += chunk.toString();
          if (!read.includes(text)) return;
          resolve(read);
          sent.destroy();
        });
      });
      sent.on('error', reject);
      sent.end();
    });
  }

  /** One request on a connection of its own, as it is: nothing is added, merged or normalized. */
  send(
    path: string,
    headers: OutgoingHttpHeaders | readonly string[],
    { method = 'GET', body }: Sending,
  ): Promise<Answer> {
    const { port } = (this.app.getHttpServer() as { address(): AddressInfo }).address();
    return new Promise((resolve, reject) => {
      const sent = sendRequest(
        { host: '127.0.0.1', port, path, method, headers, agent: false },
        (response) => {
          const chunks: Buffer[] = [];
          response.on('data', (chunk: Buffer) => chunks.push(chunk));
          response.on('error', reject);
          response.on('end', () => {
            const cache = response.headers['cache-status'];
            resolve({
              status: response.statusCode ?? 0,
              headers: response.headers,
              body: Buffer.concat(chunks).toString('latin1'),
              cache: cache === undefined ? undefined : String(cache),
            });
          });
        },
      );
      sent.on('error', reject);
      sent.end(body);
    });
  }
}

/** Starts an app; it is closed after the test. */
export async function serve(platform: Platform, setup: AppSetup): Promise<Server> {
  const { controllers, providers = [], caches, configure, ...options } = setup;
  class AppModule {}
  Module({
    imports: [...(caches ?? [CachekitModule.forRoot(new InMemoryBackend(), options)])],
    controllers: [...controllers],
    providers: [...providers],
  })(AppModule);
  return start(platform, AppModule, configure);
}

/** Starts an app made of a module of its own; it is closed after the test. */
export async function start(
  platform: Platform,
  module: Type,
  configure?: (app: INestApplication) => unknown,
): Promise<Server> {
  const warnings: string[] = [];
  const logger = {
    log() {},
    error() {},
    fatal() {},
    warn: (message: unknown) => warnings.push(String(message)),
  };
  const options = { logger, abortOnError: false };
  // Express is what Nest takes by itself.
  const app =
    platform === 'Express'
      ? await NestFactory.create(module, options)
      : await NestFactory.create(module, new FastifyAdapter(), options);
  // Not in an `afterEach` of this file: specs share a worker, and it would be a hook of the first of them only.
  onTestFinished(() => app.close());
  await configure?.(app);
  await app.listen(0, '127.0.0.1');
  return new Server(app, warnings);
}
