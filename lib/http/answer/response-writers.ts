import type { HttpExchange } from '../http-exchange.js';
import { changesObjects, routeOf, serializerOf } from './fastify-internals.js';

interface ExpressResponse {
  json(body: unknown): unknown;
  send(body: Buffer): unknown;
}

/**
 * Whether the client gets the same when a text is sent that the app made of an object earlier, as if the object were
 * sent now: nothing in between wants to see the object itself.
 */
export function sendsTextAlike(exchange: HttpExchange): boolean {
  const response = exchange.platformResponse as object;
  if (!isNests(exchange.adapter)) return false;
  if (exchange.platform === 'express') return writesAsExpress(response);
  return (
    exchange.platform === 'fastify' &&
    !changesObjects(exchange) &&
    serializerOf(response) === null &&
    writesAsFastify(response)
  );
}

/**
 * What writes the body of a response. A handler that puts another writer there says something in a way that a hit would
 * lack.
 */
export function writersOf({ platform, platformResponse }: HttpExchange): readonly unknown[] {
  const response = platformResponse as object;
  if (platform === 'express') return [Reflect.get(response, 'json'), Reflect.get(response, 'send')];
  if (platform !== 'fastify') return [];
  return [Reflect.get(response, 'send'), serializerOf(response)];
}

/** Has the platform take the bytes of a text in place of the text, which saves it the encoding; whether it will. */
export function takesBytes(exchange: HttpExchange): boolean {
  if (hasOwnWriters(exchange)) return false;
  if (exchange.platform === 'express') {
    // Nest hands any object to `json`, and would make JSON of the bytes.
    (exchange.platformResponse as ExpressResponse).json = sendBytes;
    return true;
  }
  // A hook of Fastify may expect to get what is sent as text.
  return exchange.platform === 'fastify' && routeOf(exchange)?.onSend === null;
}

/** The bytes are those in the store: a middleware with a way of its own to write them may write into them. */
function hasOwnWriters({ platformResponse }: HttpExchange): boolean {
  const { raw = platformResponse } = platformResponse as { readonly raw?: unknown };
  return Object.hasOwn(raw as object, 'write') || Object.hasOwn(raw as object, 'end');
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

/** What was found out about objects that are the same for many requests, by the writers that they had then. */
const known = new WeakMap<object, readonly unknown[]>();

/**
 * Asks once for all objects with the same prototype, as long as they have the same writers: one that lies on the object
 * itself is another one.
 */
function remembers(
  target: object,
  writers: readonly string[],
  ask: (target: object, writers: readonly string[]) => boolean,
): boolean {
  const prototype = Object.getPrototypeOf(target) as object;
  const seen = known.get(prototype);
  if (seen !== undefined && writers.every((name, index) => seen[index] === Reflect.get(target, name)))
    return true;
  if (!ask(target, writers)) return false;
  known.set(
    prototype,
    writers.map((name) => Reflect.get(target, name) as unknown),
  );
  return true;
}

/** Whether an adapter is one of Nest's, and not a subclass that answers in a way of its own. */
function isNests(adapter: object): boolean {
  return remembers(adapter, ['reply'], liesWithGetType);
}

const liesWithGetType = (adapter: object): boolean =>
  ownerOf(adapter, 'reply') === ownerOf(adapter, 'getType');

/**
 * Whether a response has the methods that Express gives it, and not some that a middleware, the app, or a patch of
 * `express.response` for all apps put in their place: those want to see the very value. They lie where their siblings
 * lie; and nothing tells who wrote them but their text: those of Express name the settings that they read.
 */
export function writesAsExpress(response: object): boolean {
  return remembers(response, ['json', 'send'], isOfExpress);
}

function isOfExpress(response: object, writers: readonly string[]): boolean {
  const owner = ownerOf(response, 'sendStatus');
  const [json, send] = writers.map((name) => textIfOf(owner, response, name));
  return json?.includes('json replacer') === true && send?.includes('etag fn') === true;
}

/** The text of a method that lies on this object; `undefined` for one that lies elsewhere. */
function textIfOf(owner: object | undefined, response: object, name: string): string | undefined {
  const method: unknown = Reflect.get(response, name);
  if (ownerOf(response, name) !== owner || typeof method !== 'function') return undefined;
  return Function.prototype.toString.call(method);
}

/** The same of Fastify's. */
function writesAsFastify(reply: object): boolean {
  return remembers(reply, ['send'], liesWithSerialize);
}

const liesWithSerialize = (reply: object): boolean => ownerOf(reply, 'send') === ownerOf(reply, 'serialize');

/** The object of a prototype chain that has a member itself. */
function ownerOf(target: object, name: string): object | undefined {
  let owner: object | null = target;
  while (owner !== null && !Object.hasOwn(owner, name)) owner = Object.getPrototypeOf(owner) as object | null;
  return owner ?? undefined;
}
