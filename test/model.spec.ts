import { randomUUID } from 'node:crypto';
import type { CacheBackend } from 'nestjs-cachekit';
import { describe, inject, it, onTestFinished } from 'vitest';
import { tellFaultyStory, tellStories } from './core/stories.js';
import { FaultProxy } from './faults/fault-proxy.js';
import { patient, portOf, REMOTE_BACKENDS, throughPort } from './remote-backends.js';
import { describeOn } from './servers/describe-on.js';

describe('Whatever two processes do at once, nobody reads what was invalidated before, or is expired,', () => {
  for (const { name, need, provided, make: makeBackend } of REMOTE_BACKENDS) {
    describeOn(need, `with ${name}`, () => {
      it('on a good network', { timeout: 60_000 }, async () => {
        const make = () => twoProcesses(inject(provided)).map(patient);
        await tellStories(() => ({ backends: make() }), { stories: 5, operations: 600, limitMs: 1_500 });
      });

      it('on a network that breaks again and again', { timeout: 120_000 }, async () => {
        const proxy = await FaultProxy.to(portOf(inject(provided)));
        onTestFinished(() => proxy.takeDown());
        await tellFaultyStory({ backends: twoProcesses(throughPort(inject(provided), proxy.port)), proxy });
      });
    });

    function twoProcesses(address: string): CacheBackend[] {
      const namespace = `model-${randomUUID()}`;
      const backends = [1, 2].map(() => makeBackend(address, namespace));
      onTestFinished(async () => void (await Promise.all(backends.map((backend) => backend.close()))));
      return backends;
    }
  }
});
