import 'reflect-metadata';
import {
  type CallHandler,
  type ExecutionContext,
  Inject,
  Injectable,
  type NestInterceptor,
} from '@nestjs/common';
import { HttpAdapterHost, ModuleRef } from '@nestjs/core';
import { lastValueFrom, type Observable, of } from 'rxjs';
import type { CacheService } from '../core/cache.service.js';
import { findCache } from './app-caches.js';
import { type Call, callOf } from './call.js';
import { evictionsOf } from './decorator-metadata.js';
import type { ResolvedEviction } from './cache-evict-options.js';
import { evict } from './eviction.js';
import { NEST_METADATA } from './nest-metadata.js';
import { HttpExchange } from './http-exchange.js';

const FIRST_ERROR_STATUS = 400;

type CacheEviction = readonly [ResolvedEviction, CacheService];

/** The requests that an outer interceptor of this kind has taken on; its own on the handler then passes. */
const takenOn = new WeakSet<ExecutionContext>();

/** Evicts after a handler succeeded, and before it runs where that is asked for. `@CacheEvict` brings it to its handler. */
@Injectable()
export class CacheEvictInterceptor implements NestInterceptor {
  constructor(
    @Inject(ModuleRef) private readonly moduleRef: ModuleRef,
    @Inject(HttpAdapterHost) private readonly host: HttpAdapterHost,
  ) {}

  async intercept(context: ExecutionContext, next: CallHandler): Promise<Observable<unknown>> {
    if (takenOn.has(context)) return next.handle();
    const evictions = this.evictionsIn(context);
    if (evictions.length === 0) return next.handle();
    takenOn.add(context);
    const exchange = new HttpExchange(context, this.host.httpAdapter);
    const early = evictions.filter(([{ before }]) => before);
    await evictAll(early, exchange);
    try {
      // Waited for here, not in the chain that Nest tears down when the client goes away: the data has changed then too.
      const value: unknown = await lastValueFrom(next.handle());
      const succeeded = exchange.status < FIRST_ERROR_STATUS;
      await evictAll(succeeded ? evictions : early, exchange);
      return of(value);
    } catch (error) {
      await evictAll(early, exchange);
      throw error;
    }
  }

  /** The evictions of a handler, with the caches that the app has. An event stream has no moment to evict at. */
  private evictionsIn(context: ExecutionContext): readonly CacheEviction[] {
    const handler = context.getHandler();
    const evictions = evictionsOf(handler);
    // Placed in a global list, this is asked for every route of the app.
    if (evictions.length === 0 || context.getType() !== 'http') return [];
    if (Reflect.hasMetadata(NEST_METADATA.sse, handler)) return [];
    return evictions.flatMap((eviction) => {
      const cache = findCache(this.moduleRef, eviction.cache);
      return cache === undefined ? [] : [[eviction, cache] as const];
    });
  }
}

async function evictAll(evictions: readonly CacheEviction[], { request }: HttpExchange): Promise<void> {
  const call = (): Call => callOf(request);
  await Promise.all(evictions.map(([eviction, cache]) => evict(eviction, cache, { call })));
}
