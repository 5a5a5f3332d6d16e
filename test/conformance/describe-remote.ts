import type { CacheBackend } from 'nestjs-cachekit';
import { describeBackend } from 'nestjs-cachekit/testing';
import { afterAll, beforeAll, describe, inject, it } from 'vitest';
import { untilUp } from '../connection/until-up.js';
import { patient, REMOTE_BACKENDS } from '../remote-backends.js';
import { describeOn } from '../servers/describe-on.js';

/** What the conformance suite needs of Vitest. */
export const runner = { describe, it, beforeAll, afterAll };

/** Something around a backend that shall behave as the backend does. */
export interface Wrap {
  readonly title: string;
  readonly around: (backend: CacheBackend, namespace: string) => CacheBackend;
}

/**
 * Runs the conformance suite on a backend of `remote-backends.ts`, on the server that all specs share. Each has a spec
 * file of its own, since most of the time they wait, and files run side by side.
 *
 * @param wrap makes of the backend what is tested, and names it. Absent: the backend itself is tested
 */
export function describeRemote(name: string, wrap?: Wrap): void {
  const remote = REMOTE_BACKENDS.find((one) => one.name === name);
  if (remote === undefined) throw new Error(`remote-backends.ts has no ${name}`);
  const { need, provided, make } = remote;
  describeOn(need, `on the shared ${need}`, () => {
    const makeBackend = (namespace: string): CacheBackend => {
      // What happens when a deadline is missed is for other tests to say.
      const backend = patient(make(inject(provided), namespace));
      return wrap === undefined ? backend : wrap.around(backend, namespace);
    };
    // The first one loads the client, which on a machine that is busy with other tests takes longer than `open` waits.
    beforeAll(async () => {
      const first = make(inject(provided), 'first');
      await untilUp(first);
      await first.close();
    });
    describeBackend(wrap?.title ?? name, makeBackend, runner);
  });
}
