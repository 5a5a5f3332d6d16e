import type { ResolvedHttpOptions } from '../http/options/http-options.js';

/** A request among the arguments of a method, as far as it says who makes it. */
interface RequestLike {
  readonly headers: Readonly<Record<string, unknown>>;
  readonly user?: unknown;
  readonly raw?: { readonly user?: unknown };
}

/** Where the contexts of GraphQL drivers, and Nest's own, keep the request. */
const HOLDERS: readonly string[] = ['req', 'request', 'reply', 'res', 'response'];

/**
 * Whether a request among the arguments, or in a context among them, says who makes it: by a credential, or by what
 * a guard found.
 */
export function areOfSomebody(args: readonly unknown[], { credentials }: ResolvedHttpOptions): boolean {
  const held = args.flatMap(partsOf);
  // A reply holds its request.
  const requests = [...args, ...held, ...held.flatMap(partsOf)].filter(isRequest);
  return requests.some(
    ({ headers, user, raw }) =>
      (user ?? raw?.user ?? undefined) !== undefined ||
      [...credentials].some((name) => headers[name] !== undefined),
  );
}

function partsOf(value: unknown): readonly unknown[] {
  if (typeof value !== 'object' || value === null) return [];
  return HOLDERS.map((name) => (value as Readonly<Record<string, unknown>>)[name]);
}

function isRequest(value: unknown): value is RequestLike {
  if (typeof value !== 'object' || value === null || !('headers' in value)) return false;
  return typeof value.headers === 'object' && value.headers !== null;
}
