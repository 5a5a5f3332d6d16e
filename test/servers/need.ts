/** What a group of tests needs to be there, as its name in `describeOn` and in the closing table. */
export type Need =
  /** The Redis that all specs share. */
  | 'redis'
  /** A Redis of one's own, which a test may kill: `startRedis`. */
  | 'redis process'
  /** `startRedisCluster` */
  | 'redis cluster'
  /** `startRedisSentinel` */
  | 'redis sentinel'
  /** The Postgres that all specs share. */
  | 'postgres'
  /** A Postgres of one's own, which a test may kill: `startPostgres`. */
  | 'postgres process'
  /** The memcached that all specs share. */
  | 'memcached'
  /** A memcached of one's own, which a test may kill: `startMemcached`. */
  | 'memcached process'
  /** A memcached that asks for a user and a password: `startMemcachedWithLogin`. */
  | 'memcached sasl'
  /** The MongoDB that all specs share. */
  | 'mongodb'
  /** A MongoDB of one's own, which a test may kill: `startMongodb`. */
  | 'mongodb process'
  /** The Firestore emulator that all specs share. */
  | 'firestore'
  /** A Firestore emulator of one's own, which a test may kill: `startFirestore`. */
  | 'firestore process'
  /** The DynamoDB that all specs share. */
  | 'dynamodb'
  /** A DynamoDB of one's own, which a test may kill: `startDynamodb`. */
  | 'dynamodb process'
  /** A second imitation of DynamoDB, which need not be there: `motoUrl`. */
  | 'dynamodb moto';

/** Whether a server that is missing fails the run (in CI, or on demand) instead of skipping the tests that need it. */
export function allNeedsRequired(): boolean {
  return isOn(process.env['CI']) || isOn(process.env['CACHEKIT_REQUIRE_ALL']);
}

function isOn(value: string | undefined): boolean {
  return value !== undefined && !['', '0', 'false'].includes(value.toLowerCase());
}
