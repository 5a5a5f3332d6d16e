import { createHash } from 'node:crypto';
import type { HttpExchange } from '../http-exchange.js';
import { asBuffer } from '../../core/as-buffer.js';

interface ExpressApp {
  get(setting: 'etag fn'): ((body: Buffer) => string | undefined) | false | undefined;
}

/**
 * The `ETag` of a body, as the app makes it: Express has a setting for it, Fastify has none, so it is a weak one there.
 * `undefined` where the app wants none.
 */
export function etagOf(body: Uint8Array, exchange: HttpExchange): string | undefined {
  const bytes = asBuffer(body);
  if (exchange.platform === 'express') {
    const make = (exchange.adapter.getInstance() as ExpressApp).get('etag fn');
    return typeof make === 'function' ? make(bytes) : undefined;
  }
  return `W/"${createHash('sha256').update(bytes).digest('base64url')}"`;
}
