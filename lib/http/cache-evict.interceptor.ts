import {
  type CallHandler,
  type ExecutionContext,
  Inject,
  Injectable,
  type NestInterceptor,
} from '@nestjs/common';
import { HttpAdapterHost, ModuleRef } from '@nestjs/core';
import { lastValueFrom, type Observable, of } from 'rxjs';
import { CachekitError } from '../core/errors.js';
import { callOf } from './call.js';
import { tagsOf } from './cached-options.js';
import { evictionsOf } from './decorator-metadata.js';
import type { ResolvedEviction } from './eviction-options.js';
import { findCache } from './handler-plan.js';
import { HttpExchange } from './http-exchange.js';

const FIRST_ERROR_STATUS = 400;

/** Evicts by tags after a handler succeeded. `@CacheEvict` brings it to its handler. */
@Injectable()
export class CacheEvictInterceptor implements NestInterceptor {
  constructor(
    @Inject(ModuleRef) private readonly moduleRef: ModuleRef,
    @Inject(HttpAdapterHost) private readonly host: HttpAdapterHost,
  ) {}

  async intercept(context: ExecutionContext, next: CallHandler): Promise<Observable<unknown>> {
    if (context.getType() !== 'http') return next.handle();
    // Waited for here, not in the chain that Nest tears down when the client goes away: the data has changed then too.
    const value: unknown = await lastValueFrom(next.handle());
    const exchange = new HttpExchange(context, this.host.httpAdapter);
    if (exchange.status >= FIRST_ERROR_STATUS) return of(value);
    await Promise.all(evictionsOf(context.getHandler()).map((eviction) => this.evict(eviction, exchange)));
    return of(value);
  }

  /** Never rejects: the handler has done its work, and the client shall know. */
  private async evict({ place, tags, cache }: ResolvedEviction, { request }: HttpExchange): Promise<void> {
    const service = findCache(this.moduleRef, cache);
    if (service === undefined) return;
    try {
      await service.engine.invalidateTags(
        tagsOf(tags, () => callOf(request)),
        place,
      );
    } catch (cause) {
      const reason = cause instanceof Error ? cause.message : String(cause);
      const message = `${place}: the eviction failed, so stale answers may be served until they expire. ${reason}`;
      service.engine.report({
        type: 'error',
        operation: 'evict',
        error: new CachekitError(message, { cause }),
      });
    }
  }
}
