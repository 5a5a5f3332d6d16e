import type { Awaitable } from '../../backends/cache-backend.js';
import { waitWithTimeout } from '../../core/load-timeout.js';
import type { BypassDetail } from '../cache-status.js';
import { canonicalJson } from './canonical-json.js';
import { digest, digestCredential, NAMING_HEADERS } from './credential-digest.js';
import type { CachingPlan } from '../handlers/handler-plan.js';
import type { HttpExchange } from '../http-exchange.js';
import type { ResolvedHttpOptions } from '../options/http-options.js';

/** Who makes a request, as it stands in the key; or why the cache can't tell. */
export type Identity =
  | { readonly known: true; readonly parts: Readonly<Record<string, string>> }
  | {
      readonly known: false;
      readonly detail: Extract<BypassDetail, 'credentials' | 'identity'>;
      /** For a warning; `undefined` where the app wanted it so. */
      readonly reason?: string;
      readonly error?: unknown;
    };

/** An identity that can stand in a key. */
export type KnownIdentity = Extract<Identity, { readonly known: true }>;

/** Nobody in particular: the answer is for everybody who asks the same. */
const ANYBODY: KnownIdentity = { known: true, parts: {} };

/** Names of query parameters that hold credentials, without anything but letters. */
const TOKEN_PARAMETERS: ReadonlySet<string> = new Set(['accesstoken', 'apikey']);

/** Those that often do. They count where they don't stand in the key, with the rest of the query. */
const OFTEN_TOKENS: ReadonlySet<string> = new Set([
  'auth',
  'authtoken',
  'code',
  'idtoken',
  'jwt',
  'key',
  'password',
  'refreshtoken',
  'secret',
  'session',
  'sessionid',
  'sid',
  'sig',
  'signature',
  'token',
]);

/** Who makes a request, in the scope of a handler. */
export function identityOf(exchange: HttpExchange, plan: CachingPlan): Awaitable<Identity> {
  if (plan.scope === 'public') return ANYBODY;
  if (plan.http.identify !== undefined) return identityByApp(exchange, plan);
  return identityByCredentials(exchange, plan);
}

/**
 * Whether `request.user` is still what stands in the key. It is not where somebody signed in after the key was made, in
 * an interceptor inside the cache or in the handler: the answer then is theirs, and the key that of others. True where
 * the key does not go by it.
 */
export function isSameUser(exchange: HttpExchange, plan: CachingPlan, { parts }: KnownIdentity): boolean {
  if (plan.scope === 'public' || plan.http.identify !== undefined) return true;
  const { users } = exchange;
  if (users.length === 0) return parts['user'] === undefined;
  const user = userPart(users, plan.http);
  return user !== undefined && user === parts['user'];
}

async function identityByApp(exchange: HttpExchange, { http, fetching }: CachingPlan): Promise<Identity> {
  const { loadTimeoutMs } = fetching;
  let answer: unknown;
  try {
    answer = http.identify?.(exchange.request);
    // A text needs no timer. Without the cache nobody would wait for a promise, so the wait must have an end.
    if (typeof answer === 'object' && answer !== null) answer = await inTime(answer, loadTimeoutMs);
  } catch (error) {
    return { known: false, detail: 'identity', reason: 'the option identify threw', error };
  }
  if (answer === LATE) {
    const reason = `the option identify did not settle within ${loadTimeoutMs} ms (option loadTimeout)`;
    return { known: false, detail: 'identity', reason };
  }
  if (answer === undefined || answer === null || answer === '') return { known: false, detail: 'identity' };
  if (typeof answer === 'string') return { known: true, parts: { id: digest(answer, http.secret) } };
  return {
    known: false,
    detail: 'identity',
    reason: `the option identify answered a ${typeof answer} where a text is needed`,
  };
}

const LATE = Symbol('nothing came in time');

/** What a promise brings, or `LATE`. */
function inTime(answer: object, timeoutMs: number): Promise<unknown> {
  return waitWithTimeout<unknown>(Promise.resolve(answer), timeoutMs, () => Promise.resolve(LATE));
}

/**
 * The default. Whatever says who makes the request is either in the key as a digest, or keeps the request away from the
 * cache: what remains is shared by requests that say nothing of the kind.
 */
function identityByCredentials(
  exchange: HttpExchange,
  { http, otherCredentials, options }: CachingPlan,
): Identity {
  const parts: Record<string, string> = {};
  const authorization = exchange.header('authorization');
  if (authorization !== undefined) {
    const digested = exchange.repeatsHeader('authorization')
      ? undefined
      : digestCredential('authorization', authorization, http.secret);
    if (digested === undefined) return unknown(`it carries an Authorization that ${AUTHORIZATION_RULE}`);
    parts['authorization'] = digested;
  }
  const { users } = exchange;
  if (users.length > 0) {
    const user = userPart(users, http);
    if (user === undefined) return unknown('request.user is not plain JSON (an instance of a class, say)');
    parts['user'] = user;
  }
  // One that stands in `vary` is in the key as a digest, or keeps the request away when the key is made.
  const uncovered = exchange.firstHeaderOf(otherCredentials);
  if (uncovered !== undefined) {
    const remedy = NAMING_HEADERS.includes(uncovered) ? ', which vary could name' : '';
    return unknown(`it carries the header ${uncovered}${remedy}`);
  }
  if (Object.keys(exchange.query ?? {}).some((name) => isToken(name, options)))
    return unknown('it carries an access token or an API key in its query');
  if (exchange.hasClientCertificate) return unknown('it comes with a TLS client certificate');
  return { known: true, parts };
}

const AUTHORIZATION_RULE =
  'is not one bearer token (others are only cached with the option secret, and never if empty or repeated)';

function unknown(reason: string): Identity {
  return { known: false, detail: 'credentials', reason };
}

function isToken(name: string, { key, query }: CachingPlan['options']): boolean {
  const letters = name.toLowerCase().replaceAll(/[^a-z]/g, '');
  const standsInKey = key === undefined && (query === undefined || query.includes(name));
  return TOKEN_PARAMETERS.has(letters) || (!standsInKey && OFTEN_TOKENS.has(letters));
}

/** What stands in the key for the users of a request; `undefined` if it can't stand there. */
function userPart(users: readonly unknown[], { secret }: ResolvedHttpOptions): string | undefined {
  try {
    return digest(canonicalJson(users), secret);
  } catch {
    // Not plain JSON: two users could look the same.
    return undefined;
  }
}
