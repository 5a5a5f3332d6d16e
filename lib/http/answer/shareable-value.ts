import { Stream } from 'node:stream';
import { types } from 'node:util';
import { StreamableFile } from '@nestjs/common';
import { isJson } from '../../core/plain-data.js';
import type { CacheSerializer } from '../../core/serializer.js';
import { isPlainAnswer } from './plain-answer.js';
import { appTextOf } from './app-text.js';
import type { CachingPlan } from '../handlers/handler-plan.js';
import type { HttpExchange } from '../http-exchange.js';

/** Why a value is nothing that can be answered twice, in whatever form; `undefined` if it may be. */
export function whyNotAnsweredTwice(value: unknown): string | undefined {
  if (typeof value !== 'object' || value === null) return undefined;
  if (isStream(value) || Object.values(value).some(isStream)) return 'it answers with a stream';
  return types.isNativeError(value) ? 'it answers with an Error' : undefined;
}

/**
 * Why the copy of a value that comes out of the serializer would not be answered as the value itself; `undefined` if it
 * would. What is kept back here is handed on untouched: an instance of a class that something between the cache and the
 * client may treat in its own way (leave out an excluded field, say).
 *
 * @param status of the answer
 */
export function whyNotShareable(
  value: unknown,
  exchange: HttpExchange,
  plan: CachingPlan,
  status: number,
): string | undefined {
  if (typeof value !== 'object' || value === null) return undefined;
  const textOf = (one: object): unknown => appTextOf(one, exchange, status);
  if (isPlainAnswer(value)) {
    return isJson(value) || isWritable(value, textOf) ? undefined : 'JSON can not be made of its answer';
  }
  if (plan.rendersTemplate) return `its template gets ${MORE_THAN_DATA}. Return plain objects`;
  if (plan.outside.length > 0) {
    return (
      `it answers with ${MORE_THAN_DATA}, and ${plan.outside.join(', ')} outside the cache may make ` +
      'something of it. Return plain objects, or put that interceptor inside: its @UseInterceptors on the handler, ' +
      'above @Cached'
    );
  }
  if (isAnsweredAlike(value, textOf, plan.engine.options.serializer)) return undefined;
  return `it answers with ${MORE_THAN_DATA}, which the app turns into JSON in a way of its own. Return plain objects`;
}

const MORE_THAN_DATA = 'instances of classes (or objects with methods or hidden properties)';

/** Lets go of a stream that nobody will read: it may hold a file open. */
export function releaseStreams(value: unknown): void {
  if (typeof value !== 'object' || value === null) return;
  for (const one of [value, ...Object.values(value)] as unknown[]) {
    if (one instanceof StreamableFile) one.getStream().destroy();
    else if (one instanceof Stream && 'destroy' in one && typeof one.destroy === 'function') one.destroy();
  }
}

/** Nest streams these, or the platform does. */
function isStream(value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return false;
  return (
    value instanceof StreamableFile ||
    value instanceof Stream ||
    Symbol.asyncIterator in value ||
    // Nest and Fastify recognise a web Response, of whatever package, by this.
    Object.prototype.toString.call(value) === '[object Response]'
  );
}

/** Whether the app gets JSON out of a value at all: of a cycle it does not, and its answer is an error. */
function isWritable(value: object, textOf: (value: object) => unknown): boolean {
  try {
    textOf(value);
    return true;
  } catch {
    // The app shall say so itself.
    return false;
  }
}

function isAnsweredAlike(
  value: object,
  textOf: (value: object) => unknown,
  serializer: CacheSerializer,
): boolean {
  try {
    const { codec, payload } = serializer.serialize(value);
    const copy = serializer.deserialize(codec, typeof payload === 'string' ? Buffer.from(payload) : payload);
    // The platforms look at the kind first: an object is sent as JSON, a text as it is, as HTML perhaps.
    if (typeof copy !== 'object' || copy === null || Buffer.isBuffer(copy) !== Buffer.isBuffer(value))
      return false;
    const text = textOf(value);
    return text !== undefined && text === textOf(copy);
  } catch {
    // It can't be serialized, by the cache or by the app: the app shall say so itself.
    return false;
  }
}
