import { onTestFinished } from 'vitest';
import { FaultProxy } from '../faults/fault-proxy.js';

/** A network to the server at `port` that the test may break, until it ends. */
export async function proxyTo(port: number): Promise<FaultProxy> {
  const proxy = await FaultProxy.to(port);
  onTestFinished(() => proxy.takeDown());
  return proxy;
}
