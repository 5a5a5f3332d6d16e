import type { NestInterceptor, Type } from '@nestjs/common';
import type { Awaitable } from '../../backends/cache-backend.js';
import { CachekitConfigError } from '../../core/errors.js';
import type { Callback } from './call.js';
import { NAMING_HEADERS } from '../key/credential-digest.js';
import { checkHeaderNames } from './header-name.js';
import type { HttpRequest } from '../http-exchange.js';

/**
 * Who shares an answer:
 * - `auto`: requesters of whom the cache can tell that they are the same; whoever it can't tell is not cached
 * - `public`: everybody, on purpose
 * - `private`: requesters for whom `identify` answers the same
 */
export type CacheScope = 'auto' | 'public' | 'private';

/**
 * What is stored of an answer:
 * - `text`: the very text that the client receives, made once; a hit sends it without parsing it. Where something outside
 *   the cache may change the value, that is stored all the same
 * - `value`: always the handler's value
 */
export type StoredBody = 'text' | 'value';

/** What a whole cache knows about HTTP requests and who makes them. */
export interface HttpCacheOptions {
  /** For handlers that don't say. Default: `'auto'`. */
  readonly scope?: CacheScope;
  /**
   * Says who makes a request: a text that is the same only for requesters who may see each other's answers. It decides
   * alone, in the scopes `auto` and `private`: `Authorization`, `request.user` and the credentials are not looked at
   * any more. Answering `undefined` or an empty text, throwing, or taking longer than `loadTimeout` means "don't cache
   * this one"; answer a constant such as `'anonymous'` to share among visitors. It is stored as a digest.
   *
   * Default: none. Then `auto` tells requesters apart by digests of `Authorization` and of `request.user`.
   */
  readonly identify?: Callback<HttpRequest, Awaitable<string | undefined>>;
  /**
   * The key of the digests (HMAC-SHA256) under which credentials stand in the cache's keys, at least 16 characters.
   * All processes that share a cache need the same. Default: none; then only bearer tokens are digested (SHA-256), and
   * requests with other kinds of `Authorization` are not cached, since a password could be guessed from its digest.
   */
  readonly secret?: string;
  /**
   * The request headers that mean "this is somebody". A request with one that the key does not cover is not cached in
   * scope `auto`; one named in `vary` is covered. A list given here replaces the default one; `authorization` always
   * counts.
   *
   * Default: authorization, proxy-authorization, cookie, x-api-key, api-key, x-auth-token, x-access-token,
   * x-session-token, x-session-id, x-token; and those by which a proxy says who it let through:
   * x-forwarded-client-cert, x-ssl-client-cert, cf-access-jwt-assertion, x-amzn-oidc-data, x-goog-iap-jwt-assertion,
   * x-ms-client-principal, x-user-id, x-tenant-id, x-consumer-id, x-forwarded-user, x-forwarded-email,
   * x-auth-request-user, x-auth-request-email, remote-user, x-remote-user, cf-access-authenticated-user-email,
   * x-amzn-oidc-identity, x-goog-authenticated-user-id, x-goog-authenticated-user-email, x-ms-client-principal-id,
   * x-ms-client-principal-name.
   */
  readonly credentials?: readonly string[];
  /**
   * The classes of interceptors that only watch, such as for logs or metrics: they neither change nor replace what
   * passes. With only these outside the cache, a hit sends the stored text; they see that text in place of the value.
   * A subclass has to be named too. Default: none.
   */
  readonly observers?: readonly Type<NestInterceptor>[];
  /** What is stored of an answer, for handlers that don't say. Default: `'text'`. */
  readonly body?: StoredBody;
}

/** The names of the options. */
export const HTTP_OPTIONS: readonly string[] = [
  'scope',
  'identify',
  'secret',
  'credentials',
  'observers',
  'body',
] satisfies (keyof HttpCacheOptions)[];

/** The options with every default filled in. */
export interface ResolvedHttpOptions {
  readonly scope: CacheScope;
  readonly identify: HttpCacheOptions['identify'];
  readonly secret: string | undefined;
  /** In lower case. */
  readonly credentials: ReadonlySet<string>;
  readonly observers: readonly Type<NestInterceptor>[];
  readonly body: StoredBody;
}

const SCOPES: readonly unknown[] = ['auto', 'public', 'private'] satisfies CacheScope[];
/** By what a client, or a proxy for it, commonly says or proves who it is. */
const PROVING_HEADERS = [
  'cookie',
  'x-api-key',
  'api-key',
  'x-auth-token',
  'x-access-token',
  'x-session-token',
  'x-session-id',
  'x-token',
  'proxy-authorization',
  'x-forwarded-client-cert',
  'x-ssl-client-cert',
  'cf-access-jwt-assertion',
  'x-amzn-oidc-data',
  'x-goog-iap-jwt-assertion',
  // Unsigned, but it holds all claims about somebody: from its plain digest, more than a name could be guessed.
  'x-ms-client-principal',
];
const DEFAULT_CREDENTIALS = [...PROVING_HEADERS, ...NAMING_HEADERS];
const SHORTEST_SECRET = 16;

/**
 * The provider token of a cache's resolved HTTP options.
 *
 * @param name of the cache; absent for the unnamed one
 */
export function getHttpOptionsToken(name?: string): string {
  return name === undefined ? 'cachekit:http-options' : `cachekit:${name}:http-options`;
}

/**
 * Fills in the defaults.
 *
 * @param place where the options were given, for messages
 * @throws CachekitConfigError for an option of the wrong kind, and for the scope `private` without `identify`
 */
export function resolveHttpOptions(options: HttpCacheOptions, place: string): ResolvedHttpOptions {
  const { identify, secret, scope = 'auto', credentials = DEFAULT_CREDENTIALS } = options;
  const { observers = [], body = 'text' } = options;
  checkScope(scope, place);
  checkBody(body, place);
  checkObservers(observers, place);
  if (identify !== undefined && typeof identify !== 'function') {
    throw new CachekitConfigError(`${place}: the option identify must be a function of the request.`);
  }
  if (secret !== undefined && (typeof secret !== 'string' || secret.length < SHORTEST_SECRET)) {
    throw new CachekitConfigError(
      `${place}: the option secret must be a text of at least ${SHORTEST_SECRET} characters. ` +
        'Make one with: node -p "crypto.randomBytes(32).toString(\'base64\')"',
    );
  }
  if (scope === 'private' && identify === undefined) throw missingIdentify(place);
  const named = checkHeaderNames(credentials, 'credentials', place);
  return { scope, identify, secret, credentials: new Set(['authorization', ...named]), observers, body };
}

/** @throws CachekitConfigError */
export function checkBody(body: unknown, place: string): void {
  if (body === 'text' || body === 'value') return;
  throw new CachekitConfigError(
    `${place}: the option body must be 'text' or 'value', not ${JSON.stringify(body)}.`,
  );
}

function checkObservers(observers: unknown, place: string): void {
  if (Array.isArray(observers) && observers.every((observer) => typeof observer === 'function')) return;
  throw new CachekitConfigError(
    `${place}: the option observers must be an array of classes of interceptors, such as [LoggingInterceptor].`,
  );
}

/** @throws CachekitConfigError */
export function checkScope(scope: unknown, place: string): void {
  if (SCOPES.includes(scope)) return;
  throw new CachekitConfigError(
    `${place}: the option scope must be 'auto', 'public' or 'private', not ${JSON.stringify(scope)}.`,
  );
}

/** What to throw where somebody asks for the scope `private` of a cache that can't tell who is who. */
export function missingIdentify(place: string): CachekitConfigError {
  return new CachekitConfigError(
    `${place}: scope 'private' needs to know who makes a request. Give CachekitModule.forRoot the option identify, ` +
      'such as identify: (request: RequestWithUser) => request.user?.id, with ' +
      'interface RequestWithUser extends HttpRequest { user?: { id: string } }',
  );
}
