import type { HttpExchange } from '../http-exchange.js';
import { changesObjects } from './fastify-internals.js';
import { writesAsExpress } from './response-writers.js';

/** What of an Express app decides how it writes JSON. */
interface ExpressApp {
  get(setting: 'json replacer'): Parameters<typeof JSON.stringify>[1];
  get(setting: 'json spaces'): string | number | undefined;
  get(setting: 'json escape'): boolean | undefined;
}

interface FastifyReply {
  readonly raw: object;
  serialize(value: unknown): unknown;
}

/**
 * The JSON that the app makes of a value, by its own rules: the replacer of Express, the response schema and serializers
 * of Fastify. Something else than a text where nobody can say before the answer is sent.
 *
 * @param status of the answer; Fastify has a schema for each
 * @throws what the app throws, such as for a cycle
 */
export function appTextOf(value: unknown, exchange: HttpExchange, status: number): unknown {
  const response = exchange.platformResponse as object;
  if (exchange.platform === 'express') {
    if (!writesAsExpress(response)) return undefined;
    return expressJson(value, exchange.adapter.getInstance() as ExpressApp);
  }
  if (exchange.platform !== 'fastify' || changesObjects(exchange)) return undefined;
  // Its own status may be another one by now: that of the answer that is being sent while this one is made.
  const reply = Object.create(response, { raw: { value: { statusCode: status } } }) as FastifyReply;
  return reply.serialize(value);
}

function expressJson(value: unknown, app: ExpressApp): string | undefined {
  const replacer = app.get('json replacer');
  const text = JSON.stringify(value, replacer, app.get('json spaces')) as string | undefined;
  return app.get('json escape') ? text?.replace(/[<>&]/g, (character) => ESCAPES[character] ?? '') : text;
}

const ESCAPES: Readonly<Record<string, string>> = { '<': '\\u003c', '>': '\\u003e', '&': '\\u0026' };
