import { Stream } from 'node:stream';
import { types } from 'node:util';
import { StreamableFile } from '@nestjs/common';
import { isJson } from '../core/plain-data.js';
import type { CacheSerializer } from '../core/serializer.js';
import { isPlainAnswer } from './plain-answer.js';
import { jsonTextOf } from './json-text.js';
import type { CachingPlan } from './handler-plan.js';
import type { HttpExchange } from './http-exchange.js';

/**
 * Why the copy of a value that comes out of the serializer would not be answered as the value itself; `undefined` if it
 * would. What is kept back here is handed on untouched: a stream, or an instance of a class that something between the
 * cache and the client may treat in its own way (leave out an excluded field, say).
 */
export function whyNotShareable(
  value: unknown,
  exchange: HttpExchange,
  plan: CachingPlan,
): string | undefined {
  if (typeof value !== 'object' || value === null) return undefined;
  if (isStream(value) || Object.values(value).some(isStream)) return 'it answers with a stream';
  if (types.isNativeError(value)) return 'it answers with an Error';
  if (isPlainAnswer(value)) {
    return isJson(value) || isWritable(value, exchange) ? undefined : 'JSON can not be made of its answer';
  }
  if (plan.rendersTemplate) return `its template gets ${MORE_THAN_DATA}. Return plain objects`;
  if (plan.outside.length > 0) {
    return (
      `it answers with ${MORE_THAN_DATA}, and ${plan.outside.join(', ')} outside the cache may make ` +
      'something of it. Return plain objects, or put that interceptor inside: its @UseInterceptors on the handler, ' +
      'above @Cached'
    );
  }
  if (isAnsweredAlike(value, exchange, plan.engine.options.serializer)) return undefined;
  return `it answers with ${MORE_THAN_DATA}, which the app turns into JSON in a way of its own. Return plain objects`;
}

const MORE_THAN_DATA = 'instances of classes (or objects with methods or hidden properties)';

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
function isWritable(value: object, exchange: HttpExchange): boolean {
  try {
    jsonTextOf(value, exchange);
    return true;
  } catch {
    // The app shall say so itself.
    return false;
  }
}

function isAnsweredAlike(value: object, exchange: HttpExchange, serializer: CacheSerializer): boolean {
  try {
    const { codec, payload } = serializer.serialize(value);
    const copy = serializer.deserialize(codec, typeof payload === 'string' ? Buffer.from(payload) : payload);
    // The platforms look at the kind first: an object is sent as JSON, a text as it is, as HTML perhaps.
    if (typeof copy !== 'object' || copy === null || Buffer.isBuffer(copy) !== Buffer.isBuffer(value))
      return false;
    const text = jsonTextOf(value, exchange);
    return text !== undefined && text === jsonTextOf(copy, exchange);
  } catch {
    // It can't be serialized, by the cache or by the app: the app shall say so itself.
    return false;
  }
}
