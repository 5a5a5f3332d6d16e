import type { Cluster, Redis } from 'ioredis';
import { isCluster, type RedisClient } from './redis.options.js';
import { VERSION_LENGTH } from './versioned-value.js';

/** How many keys SCAN looks at in one step. The server does nothing else meanwhile. */
const SCAN_COUNT = 1_000;

/** The string under a name. */
export function read(client: RedisClient, name: string): Promise<Buffer | null> {
  return client.getBuffer(name);
}

/** Where GET fails, somebody else keeps a list or another type there: it counts as absent, as in MGET. */
export function absentIn(error: unknown): null | undefined {
  return error instanceof Error && error.message.startsWith('WRONGTYPE') ? null : undefined;
}

/** The strings under several names, in one command, or on a Cluster one a name. */
export async function readMany(client: RedisClient, names: string[]): Promise<(Buffer | null)[]> {
  if (!isCluster(client)) return client.mgetBuffer(names);
  // Two names have the same slot once in 16,384 times, so grouping by slot would give groups of one. Sent in
  // the same tick, the commands go out together anyway.
  const found = await Promise.all(names.map((name) => client.mgetBuffer(name)));
  return found.flat();
}

/** Writes, whatever is there. */
export async function write(client: RedisClient, name: string, value: Buffer, ttlMs: number): Promise<void> {
  await (ttlMs === Infinity ? client.set(name, value) : client.set(name, value, 'PX', wholeMs(ttlMs)));
}

/** Writes if there is no entry, and tells whether it did. */
export async function writeIfAbsent(
  client: RedisClient,
  name: string,
  value: Buffer,
  ttlMs: number,
): Promise<boolean> {
  const answer =
    ttlMs === Infinity
      ? await client.set(name, value, 'NX')
      : await client.set(name, value, 'PX', wholeMs(ttlMs), 'NX');
  // What kept NX from writing may be a key of another type, which every read reports as absent.
  return answer === 'OK' || runReplace(client, name, [NO_STRING, ''], value, ttlMs);
}

/** Writes if the entry still has the version that was seen, and tells whether it did. */
export async function writeIfSeen(
  client: RedisClient,
  name: string,
  seen: string,
  value: Buffer,
  ttlMs: number,
): Promise<boolean> {
  return runReplace(client, name, [SEEN, Buffer.from(seen, 'latin1')], value, ttlMs);
}

/** Removes names, in one command, or on a Cluster one a name. */
export async function unlink(client: RedisClient, names: (string | Buffer)[]): Promise<void> {
  if (isCluster(client)) await Promise.all(names.map((name) => client.unlink(name)));
  else await client.unlink(names);
}

/**
 * Removes every name that begins with `prefix`, on every master.
 *
 * @param onProgress is called after every answer, since all of it may take long
 */
export async function unlinkPrefix(
  client: RedisClient,
  prefix: string,
  onProgress: () => void,
): Promise<void> {
  const servers = isCluster(client) ? await mastersOf(client) : [client];
  await Promise.all(servers.map((server) => sweep(client, server, prefix, onProgress)));
}

/** What must be there for REPLACE to write: the version that follows, or anything but a string. */
const SEEN = 'seen';
const NO_STRING = 'no string';

/**
 * Compares and writes in one step. Arguments: what must be there, its version, the new value, its ttl in
 * milliseconds or nothing. It is sent whole each time: 500 bytes are less trouble than a script that is
 * unknown again after a restart or a failover.
 */
const REPLACE = `
local is_string = redis.call('TYPE', KEYS[1])['ok'] == 'string'
if ARGV[1] == '${NO_STRING}' and is_string then return 0 end
if ARGV[1] == '${SEEN}' then
  if not is_string or redis.call('GETRANGE', KEYS[1], 0, ${VERSION_LENGTH - 1}) ~= ARGV[2] then return 0 end
end
if ARGV[4] == '' then
  redis.call('SET', KEYS[1], ARGV[3])
else
  redis.call('SET', KEYS[1], ARGV[3], 'PX', ARGV[4])
end
return 1`;

async function runReplace(
  client: RedisClient,
  name: string,
  expected: [string, string | Buffer],
  value: Buffer,
  ttlMs: number,
): Promise<boolean> {
  const ttl = ttlMs === Infinity ? '' : wholeMs(ttlMs);
  const answer = await client.eval(REPLACE, 1, name, ...expected, value, ttl);
  return Number(answer) === 1;
}

/** PX takes whole numbers above zero; the highest here is far beyond any calendar. */
function wholeMs(ttlMs: number): number {
  return Math.min(Math.ceil(ttlMs), Number.MAX_SAFE_INTEGER);
}

/** @throws when one is not known now: its entries would stay, and nobody would find out. */
async function mastersOf(cluster: Cluster): Promise<Redis[]> {
  // Older versions of ioredis 5 call back at once while another refresh runs, hence the check after it.
  await new Promise<void>((resolve, reject) => {
    cluster.refreshSlotsCache((error) => (error ? reject(error) : resolve()));
  });
  const masters = cluster.nodes('master');
  const known = new Set(masters.map(({ options }) => `${options.host}:${options.port}`));
  // `filter` skips the slots that nobody serves, which are holes.
  const unknown = cluster.slots.filter(([master]) => master !== undefined && !known.has(master));
  if (unknown[0]) throw new Error(`The master ${unknown[0][0]} is away.`);
  return masters;
}

async function sweep(
  client: RedisClient,
  server: Redis,
  prefix: string,
  onProgress: () => void,
): Promise<void> {
  // ioredis puts its keyPrefix before the names in every command except SCAN, and leaves it in the answers.
  const keyPrefix = client.options.keyPrefix ?? '';
  const skipBytes = Buffer.byteLength(keyPrefix);
  const pattern = `${escapePattern(keyPrefix + prefix)}*`;
  let wasLost = false;
  const onClose = () => {
    wasLost = true;
  };
  server.on('close', onClose);
  try {
    let cursor = '0';
    do {
      const [next, found] = await server.scanBuffer(cursor, 'MATCH', pattern, 'COUNT', SCAN_COUNT);
      const names = found.map((name) => name.subarray(skipBytes));
      if (names.length > 0) await unlink(client, names);
      onProgress();
      cursor = next.toString();
    } while (cursor !== '0');
  } finally {
    server.off('close', onClose);
  }
  // A given client may have reconnected, to another server even, where the cursor meant something else.
  if (wasLost) throw new Error('the connection was replaced during a scan');
}

function escapePattern(text: string): string {
  return text.replace(/[*?[\]\\^-]/g, '\\$&');
}
