import { isCluster, type RedisClient } from './redis.options.js';

/** The streams that hold commands back until the turn of the event loop ends. */
const corked = new WeakSet<object>();

/**
 * To be called before a command: all commands of one turn of the event loop leave in one write. ioredis writes each by
 * itself, and that system call is most of what a command costs: with 64 callers at once this doubles the throughput.
 * A single command leaves when the turn ends, which is at once. (ioredis' own autopipelining makes every command
 * slower.)
 *
 * Does nothing on a Cluster, where nobody knows yet through which of its connections a command will go.
 */
export function writeTogether(client: RedisClient): void {
  if (isCluster(client)) return;
  const { stream } = client;
  // Before the first connection there is none, whatever the types say: a command then fails by itself.
  if (stream === undefined || stream === null || corked.has(stream)) return;
  corked.add(stream);
  stream.cork();
  process.nextTick(() => {
    corked.delete(stream);
    stream.uncork();
  });
}
