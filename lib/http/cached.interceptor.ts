import {
  type CallHandler,
  type ExecutionContext,
  Inject,
  Injectable,
  type NestInterceptor,
} from '@nestjs/common';
import { ApplicationConfig, HttpAdapterHost, ModuleRef, ModulesContainer } from '@nestjs/core';
import { types } from 'node:util';
import { defer, from, type Observable, of } from 'rxjs';
import type { Awaitable } from '../backends/cache-backend.js';
import { type Fetched, NOT_CACHED } from '../core/fetcher.js';
import { sendsTextAlike } from './answer/response-writers.js';
import { type HttpAnswer, untouched } from './answer/http-answer.js';
import { sendAnswer } from './answer/send-answer.js';
import { addVary, bypassStatus, setCacheStatus } from './cache-status.js';
import type { CachingPlan } from './handlers/handler-plan.js';
import { HandlerPlans } from './handlers/handler-plans.js';
import { HandlerRun, type RunRequest, ValueSequence } from './answer/handler-run.js';
import { HttpExchange } from './http-exchange.js';
import { type Question, questionOf } from './key/question.js';
import { warnOfHandler } from './handlers/warn-of-handler.js';

/**
 * Marks the request that an outer interceptor of this kind has taken on. All interceptors of one request get the same
 * context, and where a serializer lies outside the handler's own list, there are several of them. (A `WeakSet` costs
 * each request as much as its key.)
 */
const TAKEN_ON = Symbol('taken on by @Cached');

type MarkedContext = ExecutionContext & { [TAKEN_ON]?: true };

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

  intercept(context: MarkedContext, next: CallHandler): Observable<unknown> | Promise<Observable<unknown>> {
    // Handlers of messages and GraphQL resolvers are cached as methods.
    if (context.getType() !== 'http' || context[TAKEN_ON]) return next.handle();
    const plan = this.plans.planOf(context.getClass(), context.getHandler());
    if (plan === undefined) return next.handle();
    context[TAKEN_ON] = true;
    if (plan.caches) return this.answer(new HttpExchange(context, this.host.httpAdapter), plan, next);
    if (plan.saysSo) setCacheStatus(new HttpExchange(context, this.host.httpAdapter), bypassStatus('inputs'));
    return next.handle();
  }

  /** Without a promise where nothing has to be waited for: a hit in memory is answered in the turn of its request. */
  private answer(
    exchange: HttpExchange,
    plan: CachingPlan,
    next: CallHandler,
  ): Awaitable<Observable<unknown>> {
    const sendsText = plan.sendsTexts && sendsTextAlike(exchange);
    const question = questionOf(exchange, plan, sendsText);
    const asking = { exchange, plan, next, sendsText };
    // By hand, not by `andThen`: this is on the way of every hit.
    return types.isPromise(question)
      ? question.then((asked) => this.answerTo(asked, asking))
      : this.answerTo(question, asking);
  }

  private answerTo(question: Question, asking: RunRequest): Awaitable<Observable<unknown>> {
    const { exchange, plan, next } = asking;
    addVary(exchange, plan.vary);
    if (!question.asks) {
      setCacheStatus(exchange, question.status);
      return next.handle();
    }
    const { key, identity } = question;
    if (this.plans.unshareable.has(key)) {
      setCacheStatus(exchange, bypassStatus('response'));
      return next.handle();
    }
    const run = new HandlerRun(asking, identity, () => this.plans.unshareable.add(key));
    const fetched = fetchAnswer(question, plan, run);
    if (!types.isPromise(fetched)) return send(fetched, asking);
    // Who has lost patience meanwhile never subscribes: its response is being sent, or belongs to an error.
    return fetched.then((found) => defer(() => send(found, asking)));
  }
}

function send(fetched: Fetched<HttpAnswer | undefined>, asking: RunRequest): Observable<unknown> {
  const sent = sendAnswer(fetched, asking);
  return sent instanceof ValueSequence ? from(sent.values) : of(sent);
}

function fetchAnswer(
  { key, markers }: Extract<Question, { asks: true }>,
  plan: CachingPlan,
  run: HandlerRun,
): Awaitable<Fetched<HttpAnswer | undefined>> {
  const own = (error: unknown): Fetched<HttpAnswer | undefined> => ownAnswerOf(run, plan, error);
  try {
    const refresh = run.refresh;
    // Most hits need no options of their own.
    const isUsual = markers.length === 0 && refresh === undefined;
    const options = isUsual ? plan.fetching : { ...plan.fetching, markers, ...(refresh && { refresh }) };
    const fetched = plan.engine.fetch(key, run.load, options);
    return types.isPromise(fetched) ? fetched.catch(own) : fetched;
  } catch (error) {
    return own(error);
  }
}

/**
 * A handler that answered must not run again, nor must its request fail, whatever the cache then stumbled over.
 *
 * @throws the error of a handler that did not answer
 */
function ownAnswerOf(run: HandlerRun, plan: CachingPlan, error: unknown): Fetched<HttpAnswer | undefined> {
  if (run.ownAnswer === undefined) throw error;
  warnOfHandler(plan.options.place, 'an answer was not stored, since the cache failed', error);
  return { ...NOT_CACHED, value: untouched(run.ownAnswer.value) };
}
