import { CachekitConfigError } from '../../core/errors.js';
import { checkOptionNames } from '../../core/option-names.js';
import { refuseUndefined } from '../given-client.js';
import { checkNamespace, DEFAULT_NAMESPACE } from '../namespace.js';
import { parseServerUrl, PERCENT_ENCODING } from '../server-url.js';

const DEFAULT_URL = 'memcached://localhost:11211';
const DEFAULT_PORT = 11_211;

interface CommonOptions {
  /**
   * What this backend's keys begin with, a `:` following: 1 to 64 of `A-Z a-z 0-9 _ . -`. `clear` makes an end of
   * all of it.
   *
   * @default 'cachekit'
   */
  namespace?: string;
  /** The user for servers that ask for one (SASL PLAIN), where no url names one. Default: none. */
  username?: string | undefined;
  /** The user's password. Default: none. */
  password?: string | undefined;
}

interface UrlTarget extends CommonOptions {
  /**
   * The server, `memcached://user:password@host:port` or just `host:port`.
   *
   * @default 'memcached://localhost:11211'
   */
  url?: string | undefined;
  servers?: never;
}

interface ServersTarget extends CommonOptions {
  /**
   * Several servers, each as in `url`. A key has its place on one of them, by its hash. Every process has to give
   * the same ones, spelled the same way; their order does not matter.
   */
  servers: readonly string[];
  url?: never;
}

/** How MemcachedBackend finds memcached: by the url of one server, or by a list of them. */
export type MemcachedBackendOptions = UrlTarget | ServersTarget;

/** One server, and who to be there. Whoever prints it must leave out the last two. */
export interface Address {
  readonly host: string;
  readonly port: number;
  /** Names the server in messages. */
  readonly place: string;
  readonly username: string | undefined;
  readonly password: string | undefined;
}

/** Checked options. The servers are in an order that does not depend on how they were listed. */
export interface MemcachedTarget {
  readonly namespace: string;
  readonly servers: readonly Address[];
}

/**
 * Checks what `new MemcachedBackend()` was given.
 *
 * @throws CachekitConfigError
 */
export function readMemcachedOptions(options: MemcachedBackendOptions): MemcachedTarget {
  checkNames(options);
  const { username, password } = options;
  checkUser(username, password);
  const namespace = checkNamespace(options.namespace ?? DEFAULT_NAMESPACE, 'MemcachedBackend');
  const servers = urlsOf(options).map((url) => readServer(url, { username, password }));
  return { namespace, servers: inOrder(servers) };
}

const NAMES = ['url', 'servers', 'namespace', 'username', 'password'];

function checkNames(options: MemcachedBackendOptions): void {
  if (typeof options === 'object' && options !== null && 'client' in options) {
    throw wrong(
      "a client can't be shared: the only way to go on with memjs after a lost connection is a new client. Give its " +
        '`url` or `servers`, and the backend makes its own connection.',
    );
  }
  checkOptionNames(options, NAMES, 'MemcachedBackend');
  refuseUndefined(options, ['servers'], 'MemcachedBackend');
}

function checkUser(username: unknown, password: unknown): void {
  const areTexts = [username, password].every((text) => text === undefined || typeof text === 'string');
  if (areTexts && Boolean(username) === Boolean(password)) return;
  throw wrong('`username` and `password` go together, both are texts, and neither is empty.');
}

function urlsOf({ url, servers }: MemcachedBackendOptions): readonly string[] {
  if (servers === undefined) return [url ?? DEFAULT_URL];
  if (url !== undefined) throw wrong('give one of url and servers, not both.');
  if (Array.isArray(servers) && servers.length > 0) return servers;
  throw wrong(
    '`servers` takes a list of at least one server, for instance ["10.0.0.1:11211", "10.0.0.2:11211"].',
  );
}

function readServer(text: string, user: Pick<Address, 'username' | 'password'>): Address {
  const url = checkUrl(text);
  const host = url.hostname.replace(/^\[|\]$/g, '').toLowerCase();
  const port = Number(url.port || DEFAULT_PORT);
  const place = `${url.hostname.toLowerCase()}:${port}`;
  if (url.username === '' && url.password === '') return { host, port, place, ...user };

  if (user.username !== undefined) throw wrong('give the user in the url or as `username`, not both.');
  if (url.username === '' || url.password === '') {
    throw wrong('a url with a user has a password too: memcached://user:password@host:11211.');
  }
  const [username, password] = [decodeURIComponent(url.username), decodeURIComponent(url.password)];
  return { host, port, place, username, password };
}

function checkUrl(text: string): URL {
  const url = typeof text === 'string' ? parseUrl(text) : undefined;
  // No message repeats the url: it may hold a password.
  if (!url) {
    throw wrong(
      'the url of a server can\'t be read. It looks like "memcached://user:password@host:11211" or "host:11211" ' +
        `(several go into \`servers\`); ${PERCENT_ENCODING}.`,
    );
  }
  if (url.protocol !== 'memcached:') {
    throw wrong(
      `the url begins with "${url.protocol}". It takes memcached://. For TLS use a tunnel such as stunnel: memjs has none.`,
    );
  }
  if (url.pathname.length > 1 || url.search !== '' || url.hash !== '') {
    throw wrong('the url of a server ends with its port. It can have no path, parameters or fragment.');
  }
  return url;
}

function parseUrl(text: string): URL | undefined {
  const url = parseServerUrl(text.includes('://') ? text : `memcached://${text}`);
  const isWhole = url && url.hostname !== '' && !url.hostname.includes(',') && url.port !== '0';
  return isWhole ? url : undefined;
}

function inOrder(servers: readonly Address[]): Address[] {
  const twice = servers.find(
    ({ place }, index) => servers.findIndex((other) => other.place === place) < index,
  );
  if (twice) throw wrong(`\`servers\` lists ${twice.place} twice.`);
  return servers.toSorted((a, b) => (a.place < b.place ? -1 : 1));
}

function wrong(message: string): CachekitConfigError {
  return new CachekitConfigError(`MemcachedBackend: ${message}`);
}
