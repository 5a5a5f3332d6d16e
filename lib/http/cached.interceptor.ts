import {
  type CallHandler,
  type ExecutionContext,
  Inject,
  Injectable,
  type NestInterceptor,
} from '@nestjs/common';
import { ApplicationConfig, HttpAdapterHost, ModuleRef, ModulesContainer } from '@nestjs/core';
import { from, type Observable, of } from 'rxjs';
import { type Fetched, NOT_CACHED } from '../core/fetcher.js';
import { sendsTextAlike } from './answer/app-text.js';
import { type HttpAnswer, untouched } from './answer/http-answer.js';
import { sendAnswer } from './answer/send-answer.js';
import { addVary, bypassStatus, setCacheStatus } from './cache-status.js';
import type { CachingPlan } from './handlers/handler-plan.js';
import { HandlerPlans } from './handlers/handler-plans.js';
import { HandlerRun, ValueSequence } from './answer/handler-run.js';
import { HttpExchange } from './http-exchange.js';
import { type Question, questionOf } from './key/question.js';
import { warnOfHandler } from './handlers/warn-of-handler.js';

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
    // Handlers of messages and GraphQL resolvers are cached as methods.
    if (context.getType() !== 'http' || takenOn.has(context)) return next.handle();
    const plan = this.plans.planOf(context.getClass(), context.getHandler());
    if (plan === undefined) return next.handle();
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
    const sendsText = plan.sendsTexts && sendsTextAlike(exchange);
    const question = await questionOf(exchange, plan, sendsText);
    addVary(exchange, plan.vary);
    if (!question.asks) {
      setCacheStatus(exchange, question.status);
      return next.handle();
    }
    const { key } = question;
    if (this.plans.isUnshareable(key)) {
      setCacheStatus(exchange, bypassStatus('response'));
      return next.handle();
    }
    const onUnshareable = (): void => this.plans.rememberUnshareable(key);
    const run = new HandlerRun({ exchange, plan, next, sendsText, onUnshareable });
    const fetched = await fetchAnswer(question, plan, run);
    const sent = sendAnswer(fetched, { exchange, plan, sendsText });
    return sent instanceof ValueSequence ? from(sent.values) : of(sent);
  }
}

async function fetchAnswer(
  { key, markers }: Extract<Question, { asks: true }>,
  plan: CachingPlan,
  run: HandlerRun,
): Promise<Fetched<HttpAnswer | undefined>> {
  try {
    const refresh = run.refresh;
    // Most hits need no options of their own.
    const isUsual = markers.length === 0 && refresh === undefined;
    const options = isUsual ? plan.fetching : { ...plan.fetching, markers, ...(refresh && { refresh }) };
    return await plan.engine.fetch(key, run.load, options);
  } catch (error) {
    // A handler that answered must not run again, nor must its request fail, whatever the cache then stumbled over.
    if (run.ownAnswer === undefined) throw error;
    warnOfHandler(plan.options.place, 'an answer was not stored, since the cache failed', error);
    return { ...NOT_CACHED, value: untouched(run.ownAnswer.value) };
  }
}
