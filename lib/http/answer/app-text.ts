import type { HttpExchange } from '../http-exchange.js';

/** What of an Express app decides how it writes JSON. */
interface ExpressApp {
  get(setting: 'json replacer'): Parameters<typeof JSON.stringify>[1];
  get(setting: 'json spaces'): string | number | undefined;
  get(setting: 'json escape'): boolean | undefined;
}

interface ExpressResponse {
  json(body: unknown): unknown;
  send(body: Buffer): unknown;
}

interface FastifyReply {
  readonly raw: object;
  serialize(value: unknown): unknown;
}

/** The hooks of a route that get what is sent; `null` where there is none. */
interface FastifyRoute {
  readonly preSerialization: readonly unknown[] | null;
  readonly onSend: readonly unknown[] | null;
}

/**
 * Whether the client gets the same when a text is sent that the app made of an object earlier, as if the object were
 * sent now: nothing in between wants to see the object itself.
 */
export function sendsTextAlike(exchange: HttpExchange): boolean {
  const response = exchange.platformResponse as object;
  if (exchange.platform === 'express') {
    return hasOfExpress(response, 'json', 'json replacer') && hasOfExpress(response, 'send', 'etag fn');
  }
  return exchange.platform === 'fastify' && !changesObjects(exchange) && !hasOwnSerializer(response);
}

/** Has the platform take the bytes of a text in place of the text, which saves it the encoding; whether it will. */
export function takesBytes(exchange: HttpExchange): boolean {
  if (exchange.platform === 'express') {
    // Nest hands any object to `json`, and would make JSON of the bytes.
    (exchange.platformResponse as ExpressResponse).json = sendBytes;
    return true;
  }
  // A hook of Fastify may expect to get what is sent as text.
  return exchange.platform === 'fastify' && routeOf(exchange)?.onSend === null;
}

/** `res.json` of one response, which does with anything but bytes what it did before. */
function sendBytes(this: ExpressResponse, body: unknown): unknown {
  if (Buffer.isBuffer(body)) return this.send(body);
  // Also for the answer to an error that comes after this one was handed on.
  return (Reflect.get(Object.getPrototypeOf(this) as object, 'json') as ExpressResponse['json']).call(
    this,
    body,
  );
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
    if (!hasOfExpress(response, 'json', 'json replacer')) return undefined;
    return expressJson(value, exchange.adapter.getInstance() as ExpressApp);
  }
  if (exchange.platform !== 'fastify' || changesObjects(exchange)) return undefined;
  // Its own status may be another one by now: that of the answer that is being sent while this one is made.
  const reply = Object.create(response, { raw: { value: { statusCode: status } } }) as FastifyReply;
  return reply.serialize(value);
}

/** What was found out about functions, since their texts are long. */
const ofExpress = new WeakMap<object, boolean>();

/**
 * Whether a response has the method that Express gives it, and not one that a middleware, the app, or a patch of
 * `express.response` for all apps put in its place: such a one wants to see the very value. Nothing tells who wrote a
 * function but its text: that of Express names the setting that it reads, one that wraps it does not.
 */
function hasOfExpress(
  response: object,
  name: 'json' | 'send',
  setting: 'json replacer' | 'etag fn',
): boolean {
  const method: unknown = Reflect.get(response, name);
  if (typeof method !== 'function') return false;
  const known = ofExpress.get(method);
  if (known !== undefined) return known;
  const reads = Function.prototype.toString.call(method).includes(setting);
  ofExpress.set(method, reads);
  return reads;
}

function expressJson(value: unknown, app: ExpressApp): string | undefined {
  const replacer = app.get('json replacer');
  const text = JSON.stringify(value, replacer, app.get('json spaces')) as string | undefined;
  return app.get('json escape') ? text?.replace(/[<>&]/g, (character) => ESCAPES[character] ?? '') : text;
}

const ESCAPES: Readonly<Record<string, string>> = { '<': '\\u003c', '>': '\\u003e', '&': '\\u0026' };

/** Whether a hook may put another object in place of the one that is sent. */
function changesObjects(exchange: HttpExchange): boolean {
  return routeOf(exchange)?.preSerialization !== null;
}

/**
 * What Fastify knows of the route of a request. It tells no other way: its listing of hooks fails for apps with some
 * kinds of versions. `undefined` if some future release keeps it elsewhere; then no texts are sent.
 */
function routeOf({ request }: HttpExchange): FastifyRoute | undefined {
  return hiddenIn(request, 'fastify.context') as FastifyRoute | undefined;
}

/** Whether somebody called `reply.serializer()`. */
function hasOwnSerializer(reply: object): boolean {
  return hiddenIn(reply, 'fastify.reply.serializer') !== null;
}

const symbols = new Map<string, symbol>();

/** What Fastify keeps under a symbol of its own. */
function hiddenIn(target: object, description: string): unknown {
  const symbol =
    symbols.get(description) ??
    Object.getOwnPropertySymbols(target).find((one) => one.description === description);
  if (symbol === undefined) return undefined;
  symbols.set(description, symbol);
  return Reflect.get(target, symbol);
}
