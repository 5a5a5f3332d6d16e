import type { CachingPlan } from '../handlers/handler-plan.js';
import { headerList } from '../header-list.js';
import type { ResponseHead } from '../http-exchange.js';

/** The statuses of answers that are stored. */
const STORABLE_STATUS: ReadonlySet<number> = new Set([200, 203, 301, 308]);

/** Why an answer must not be shared. */
export interface Refusal {
  readonly reason: string;
  /** The answer itself asks not to be stored; nobody needs to be told. */
  readonly wanted: boolean;
}

/**
 * Why an answer with the status and headers that it has so far must not be shared; `undefined` if it may. Asked before
 * the handler runs, and before a hit is sent, since middleware speaks to each requester anew.
 */
export function refusalOf({ status, headers }: ResponseHead, plan: CachingPlan): Refusal | undefined {
  if (!isStorableStatus(status)) return unwanted(`the status is ${unstorable(status)}`);
  if (headers['set-cookie'] !== undefined) return unwanted('the response has a Set-Cookie');
  const forbidden = headerList(headers['cache-control']).find(forbidsSharing);
  if (forbidden !== undefined) return { reason: `Cache-Control says ${forbidden}`, wanted: true };
  const uncovered = headerList(headers['vary']).find((name) => !plan.coveredByKey.has(name));
  if (uncovered === undefined) return undefined;
  return unwanted(`Vary names ${uncovered}, which is not in the key: name it in the option vary`);
}

/** Whether answers with this status are stored. */
export function isStorableStatus(status: number): boolean {
  return STORABLE_STATUS.has(status);
}

/** A status whose answers are not stored, in a reason. */
export function unstorable(status: number): string {
  return `${status}. Only answers with one of ${[...STORABLE_STATUS].join(', ')} are cached`;
}

function unwanted(reason: string): Refusal {
  return { reason, wanted: false };
}

/** `private` also with a list of fields: what the fields hold is in the answer too. */
function forbidsSharing(directive: string): boolean {
  const [name] = directive.split('=');
  return name?.trim() === 'no-store' || name?.trim() === 'private';
}
