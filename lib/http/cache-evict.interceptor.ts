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
import { findCache } from './handlers/app-caches.js';
import { type Call, callOf } from './options/call.js';
import { evictionsOf } from './handlers/decorator-metadata.js';
import { prepareEviction } from './eviction.js';
import { NEST_METADATA } from './handlers/nest-metadata.js';
import { HttpExchange } from './http-exchange.js';

const FIRST_ERROR_STATUS = 400;

/** What one `@CacheEvict` does for a request. */
interface RequestEviction {
  readonly before: boolean;
  readonly evict: () => Promise<void>;
}

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
    if (!this.isEvicting(context)) return next.handle();
    takenOn.add(context);
    const exchange = new HttpExchange(context, this.host.httpAdapter);
    const evictions = this.evictionsOf(context, exchange);
    const early = evictions.filter(({ before }) => before);
    await evictAll(early);
    try {
      // Waited for here, not in the chain that Nest tears down when the client goes away: the data has changed then too.
      const value: unknown = await lastValueFrom(next.handle());
      const succeeded = exchange.status < FIRST_ERROR_STATUS;
      await evictAll(succeeded ? evictions : early);
      return of(value);
    } catch (error) {
      await evictAll(early);
      throw error;
    }
  }

  /** An event stream has no moment to evict at. */
  private isEvicting(context: ExecutionContext): boolean {
    const handler = context.getHandler();
    // Placed in a global list, this is asked for every route of the app.
    if (evictionsOf(handler).length === 0 || context.getType() !== 'http') return false;
    return !Reflect.hasMetadata(NEST_METADATA.sse, handler);
  }

  /** The evictions of a handler in the caches that the app has. */
  private evictionsOf(context: ExecutionContext, { request }: HttpExchange): readonly RequestEviction[] {
    const call = (): Call => callOf(request);
    return evictionsOf(context.getHandler()).flatMap((eviction) => {
      const cache = findCache(this.moduleRef, eviction.cache);
      if (cache === undefined) return [];
      return [{ before: eviction.before, evict: prepareEviction(eviction, cache, { call }) }];
    });
  }
}

async function evictAll(evictions: readonly RequestEviction[]): Promise<void> {
  await Promise.all(evictions.map(({ evict }) => evict()));
}
