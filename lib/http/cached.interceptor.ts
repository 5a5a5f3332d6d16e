import {
  type CallHandler,
  type ExecutionContext,
  Inject,
  Injectable,
  type NestInterceptor,
} from '@nestjs/common';
import { ApplicationConfig, HttpAdapterHost, ModuleRef, ModulesContainer } from '@nestjs/core';
import { type Observable, of } from 'rxjs';
import { type Fetched, NOT_CACHED } from '../core/fetcher.js';
import { bypassStatus, fetchedStatus, setCacheStatus } from './cache-status.js';
import type { CachingPlan } from './handler-plan.js';
import { HandlerPlans } from './handler-plans.js';
import { answerOf, HandlerRun } from './handler-run.js';
import { HttpExchange } from './http-exchange.js';
import { type Question, questionOf } from './question.js';
import { isServerFault } from './server-fault.js';
import { warnOfHandler } from './warn-of-handler.js';

/**
 * The requests that an outer interceptor of this kind has taken on. All interceptors of one request get the same
 * context, and where a serializer lies outside the handler's own list, there are several of them.
 */
const takenOn = new WeakSet<ExecutionContext>();

/** Answers from the cache, or runs the handler and stores its answer. `@Cached` brings it to its handler. */
@Injectable()
export class CachedInterceptor implements NestInterceptor {
  private readonly plans: HandlerPlans;

  constructor(
    @Inject(ModuleRef) moduleRef: ModuleRef,
    @Inject(ModulesContainer) modules: ModulesContainer,
    @Inject(ApplicationConfig) config: ApplicationConfig,
    @Inject(HttpAdapterHost) private readonly host: HttpAdapterHost,
  ) {
    this.plans = HandlerPlans.of({ moduleRef, modules, config, cacheInterceptor: CachedInterceptor });
  }

  intercept(
    context: ExecutionContext,
    next: CallHandler,
  ): Observable<unknown> | Promise<Observable<unknown>> {
    const plan = this.plans.planOf(context.getClass(), context.getHandler());
    if (plan === undefined || context.getType() !== 'http' || takenOn.has(context)) return next.handle();
    takenOn.add(context);
    if (plan.caches) return this.answer(new HttpExchange(context, this.host.httpAdapter), plan, next);
    if (plan.saysSo) setCacheStatus(new HttpExchange(context, this.host.httpAdapter), bypassStatus('inputs'));
    return next.handle();
  }

  private async answer(
    exchange: HttpExchange,
    plan: CachingPlan,
    next: CallHandler,
  ): Promise<Observable<unknown>> {
    const question = await questionOf(exchange, plan);
    if (!question.asks) {
      setCacheStatus(exchange, question.status);
      return next.handle();
    }
    if (this.plans.isUnshareable(question.key)) {
      setCacheStatus(exchange, bypassStatus('response'));
      return next.handle();
    }
    const fetched = await this.fetch(question, plan, new HandlerRun(exchange, plan, next));
    setCacheStatus(exchange, fetchedStatus(fetched));
    return of(answerOf(fetched.value));
  }

  private async fetch(
    { key, markers }: Extract<Question, { asks: true }>,
    plan: CachingPlan,
    run: HandlerRun,
  ): Promise<Fetched<unknown>> {
    const { engine, ttlMs, staleIfErrorMs } = plan;
    const { loadTimeoutMs } = engine.options;
    try {
      return await engine.fetch(key, run.load, {
        ttlMs,
        loadTimeoutMs,
        // A handler can't run again once its request is answered: not every input outlives it.
        staleWhileRevalidateMs: 0,
        staleIfErrorMs,
        lock: plan.options.lock,
        markers,
        kind: 'http',
        excuses: isServerFault,
        admit: run.admit,
        onUnserializable: 'own',
      });
    } catch (error) {
      // A handler that answered must not run again, nor must its request fail, whatever the cache then stumbled over.
      if (run.ownAnswer === undefined) throw error;
      warnOfHandler(plan.options.place, 'an answer was not stored, since the cache failed', error);
      return { ...NOT_CACHED, value: run.ownAnswer.value };
    } finally {
      if (run.isUnshareable) this.plans.rememberUnshareable(key);
    }
  }
}
