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
import { BackendUnavailableError, CachekitError, messageOf } from '../core/errors.js';
import type { CacheService } from '../core/cache.service.js';
import { findCache } from './app-caches.js';
import { callOf } from './call.js';
import { tagsOf } from './cached-options.js';
import { evictionsOf } from './decorator-metadata.js';
import type { ResolvedEviction } from './cache-evict-options.js';
import { NEST_METADATA } from './nest-metadata.js';
import { HttpExchange } from './http-exchange.js';

const FIRST_ERROR_STATUS = 400;

/** The requests that an outer interceptor of this kind has taken on; its own on the handler then passes. */
const takenOn = new WeakSet<ExecutionContext>();

/** Evicts by tags after a handler succeeded. `@CacheEvict` brings it to its handler. */
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
    // Waited for here, not in the chain that Nest tears down when the client goes away: the data has changed then too.
    const value: unknown = await lastValueFrom(next.handle());
    const exchange = new HttpExchange(context, this.host.httpAdapter);
    if (exchange.status >= FIRST_ERROR_STATUS) return of(value);
    await Promise.all(evictions.map(([eviction, cache]) => evict(eviction, cache, exchange)));
    return of(value);
  }

  /** The evictions of a handler, with the caches that the app has. An event stream has no moment to evict at. */
  private evictionsIn(context: ExecutionContext): readonly (readonly [ResolvedEviction, CacheService])[] {
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

/** Never rejects: the handler has done its work, and the client shall know. */
async function evict(
  { place, tags }: ResolvedEviction,
  { engine }: CacheService,
  { request }: HttpExchange,
): Promise<void> {
  try {
    await engine.invalidateTags(
      tagsOf(tags, () => callOf(request)),
      place,
    );
  } catch (cause) {
    // Anything else than the backend is a fault of the callback: nobody knows what to evict, then or later.
    const consequence = cause instanceof BackendUnavailableError ? MADE_UP_FOR : NOT_MADE_UP_FOR;
    const message = `${place}: the eviction failed. ${consequence} ${messageOf(cause)}`;
    engine.report({ type: 'error', operation: 'evict', error: new CachekitError(message, { cause }) });
  }
}

const MADE_UP_FOR =
  'It is made up for when the backend is back; until then other processes may answer what is stale.';
const NOT_MADE_UP_FOR = 'Its tags could not be made, so stale answers may be served until they expire.';
