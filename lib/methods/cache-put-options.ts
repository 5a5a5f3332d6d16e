import { CachekitConfigError } from '../core/errors.js';
import { checkOptionNames } from '../core/option-names.js';
import { checkKind } from '../core/options.js';
import type { Call } from '../http/options/call.js';

/** Which entry a method writes. */
export interface CachePutOptions<T = unknown> {
  /** The name of a method of the same class with `@Cached`: the answer is stored as what that one would answer. */
  readonly method: string;
  /** The arguments of that one, of this call and what it answered. Default: the arguments of this call. */
  readonly args?: { call(call: Call, answer: T): readonly unknown[] }['call'];
}

/** The options, checked. */
export interface ResolvedPut {
  /** Where they were given: `@CachePut on RatesService.save`. */
  readonly place: string;
  readonly method: string;
  readonly args: CachePutOptions['args'];
}

const NAMES: readonly string[] = ['method', 'args'] satisfies (keyof CachePutOptions)[];

/**
 * Checks what a `@CachePut` was given.
 *
 * @throws CachekitConfigError for an unknown option, or one of the wrong kind
 */
export function resolvePut(options: CachePutOptions, place: string): ResolvedPut {
  // JavaScript can leave it all out.
  checkOptionNames(options ?? {}, NAMES, place);
  const { method, args } = options ?? {};
  if (typeof method !== 'string' || method === '') {
    throw new CachekitConfigError(
      `${place}: it does not say where to put the answer. Give { method: 'find' }, the name of a method of the same ` +
        'class with @Cached.',
    );
  }
  if (args !== undefined) checkKind(args, 'function', 'args', place);
  return { place, method, args };
}
