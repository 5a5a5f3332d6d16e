import { AsyncLocalStorage } from 'node:async_hooks';
import type { IncomingMessage } from 'node:http';
import { type CanActivate, Controller, type ExecutionContext, Get, Injectable } from '@nestjs/common';
import { APP_GUARD } from '@nestjs/core';
import { Cached, type CachedOptions, type CachekitOptions } from 'nestjs-cachekit';
import { type Platform, type Server, serve } from './serve.js';

/** What the handler knows of who asks, without taking any parameter: all the headers and the URL. */
const requester = new AsyncLocalStorage<string>();

/** What a guard finds for the requester whom `x-login` names. That header is no credential to the cache. */
export type FindUser = (login: string) => unknown;

/** How the handler is cached, what the app's cache knows of requesters, and what its guard puts on the request. */
export interface Whoami {
  readonly cached?: CachedOptions;
  readonly cache?: CachekitOptions;
  readonly user?: FindUser;
  /** What middleware makes of the URL, and puts on the request that it sees. */
  readonly middlewareUser?: FindUser;
}

/** An app whose `/whoami` answers something else to each requester, as a handler may that asks a context store. */
export function serveWhoami(
  platform: Platform,
  { cached = {}, cache = {}, user, middlewareUser }: Whoami,
): Promise<Server> {
  @Controller()
  class WhoamiController {
    @Get('whoami')
    @Cached(cached)
    whoami(): { you: string } {
      return { you: requester.getStore() ?? 'nobody' };
    }
  }
  const providers = user === undefined ? [] : [{ provide: APP_GUARD, useClass: guardThatFinds(user) }];
  return serve(platform, {
    ...cache,
    controllers: [WhoamiController],
    providers,
    configure: (app) => {
      app.use((request: IncomingMessage & { user?: unknown }, _response: unknown, next: () => void) => {
        if (middlewareUser !== undefined) request.user = middlewareUser(String(request.headers['x-login']));
        requester.run(JSON.stringify([request.url, request.rawHeaders]), next);
      });
    },
  });
}

function guardThatFinds(find: FindUser): new () => CanActivate {
  @Injectable()
  class AuthGuard implements CanActivate {
    canActivate(context: ExecutionContext): boolean {
      const request = context.switchToHttp().getRequest<{ headers: Record<string, string>; user: unknown }>();
      const login = request.headers['x-login'];
      if (login !== undefined) request.user = find(login);
      return true;
    }
  }
  return AuthGuard;
}
