import type { HttpExchange } from '../http-exchange.js';

/** The hooks of a route that get what is sent; `null` where there is none. */
interface FastifyRoute {
  readonly preSerialization: readonly unknown[] | null;
  readonly onSend: readonly unknown[] | null;
}

/** Whether a hook may put another object in place of the one that is sent. */
export function changesObjects(exchange: HttpExchange): boolean {
  return routeOf(exchange)?.preSerialization !== null;
}

/**
 * What Fastify knows of the route of a request. It tells no other way: its listing of hooks fails for apps with some
 * kinds of versions. `undefined` if some future release keeps it elsewhere; then no texts are sent.
 */
export function routeOf({ request }: HttpExchange): FastifyRoute | undefined {
  return hiddenIn(request, 'fastify.context') as FastifyRoute | undefined;
}

/** What somebody gave to `reply.serializer()`; `null` where nobody did. */
export function serializerOf(reply: object): unknown {
  return hiddenIn(reply, 'fastify.reply.serializer');
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
