import type { HttpExchange } from './http-exchange.js';

/** What of an Express app decides how it writes JSON. */
interface ExpressApp {
  get(setting: 'json replacer'): Parameters<typeof JSON.stringify>[1];
  get(setting: 'json spaces'): string | number | undefined;
}

interface FastifyApp {
  printRoutes(options: { readonly includeHooks: true }): string;
}

interface FastifyReply {
  serialize(value: unknown): unknown;
}

const changingApps = new WeakMap<FastifyApp, boolean>();

/**
 * The JSON that the app makes of a value, by its own rules: the replacer of Express, the response schema and serializers
 * of Fastify. `undefined` where something is in between that only runs when the answer is sent.
 */
export function jsonTextOf(value: unknown, exchange: HttpExchange): unknown {
  const platform = exchange.adapter.getType?.();
  if (platform === 'express') {
    // A middleware that puts its own `json` on the response wants to see the very value.
    if (Object.hasOwn(exchange.platformResponse as object, 'json')) return undefined;
    const app = exchange.adapter.getInstance() as ExpressApp;
    return JSON.stringify(value, app.get('json replacer'), app.get('json spaces'));
  }
  if (platform !== 'fastify' || changesPayloads(exchange.adapter.getInstance() as FastifyApp))
    return undefined;
  return (exchange.platformResponse as FastifyReply).serialize(value);
}

/** Whether a hook may put something else in place of a payload. Fastify tells of its hooks only in this listing. */
function changesPayloads(app: FastifyApp): boolean {
  const known = changingApps.get(app);
  if (known !== undefined) return known;
  const changes = app.printRoutes({ includeHooks: true }).includes('(preSerialization)');
  changingApps.set(app, changes);
  return changes;
}
