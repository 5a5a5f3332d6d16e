import { setTimeout as delay } from 'node:timers/promises';
import type { FaultProxy } from './fault-proxy.js';

/** Longer than the deadline of a read from a server nearby, so that some operations are given up and take effect late. */
const LONGEST_MS = 400;

/** Breaks the network again and again while `goOn` answers true. Then it is whole, and nothing is under way in it. */
export async function breakNetworkAtRandom(
  proxy: FaultProxy,
  random: () => number,
  goOn: () => boolean,
): Promise<void> {
  const faults = [
    () => proxy.cut('rst'),
    () => proxy.cut('fin'),
    () => proxy.cutAnswerAfter(Math.floor(random() * 500), 'rst'),
    () => proxy.cutAnswerAfter(Math.floor(random() * 500), 'fin'),
    () => proxy.stall(),
    () => proxy.stall(),
    () => proxy.delay({ upMs: 5, downMs: 5, jitterMs: LONGEST_MS }),
    () => proxy.refuse(),
    () => proxy.blackhole(),
  ];
  while (goOn()) {
    const fault = Math.floor(random() * faults.length);
    faults[fault]?.();
    await delay(random() * LONGEST_MS);
    mend(proxy);
    // What was held back goes on, or is lost as well. What was lost is not looked for: that takes a client seconds.
    if (random() < 0.5 || fault === faults.length - 1) proxy.cut('rst');
    await delay(random() * LONGEST_MS);
  }
  mend(proxy);
  proxy.cut('rst');
}

function mend(proxy: FaultProxy): void {
  proxy.delay({});
  proxy.pass();
}
