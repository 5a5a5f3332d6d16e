import type { Call } from '../http/options/call.js';
import { syncAnswer } from '../http/options/sync-answer.js';

/**
 * The arguments that an option `args` names; without the option those of the call itself.
 *
 * @throws TypeError for what is not an array; or what the option throws
 */
export function argsOf(
  args: ((call: Call, answer: unknown) => readonly unknown[]) | undefined,
  call: Call,
  answer: unknown,
): readonly unknown[] {
  if (args === undefined) return call.args;
  const named: unknown = syncAnswer(args(call, answer), 'args');
  if (Array.isArray(named)) return named;
  throw new TypeError('the option args must answer an array of arguments');
}
