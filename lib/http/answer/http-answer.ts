import type { Admission } from '../../core/loader.js';

/** The value of a header, as Node takes it. */
export type HeaderValue = string | number | readonly string[];

/** What an answer says beside its body, as far as the handler said it and not what surrounds it. */
export interface AnswerHead {
  /** `undefined`: the one that the route has by itself. */
  readonly status: number | undefined;
  /** By their names in lower case. */
  readonly headers: Readonly<Record<string, HeaderValue>>;
  /** Of the body, for conditional requests; `undefined` if the platform makes it, or nobody wants one. */
  readonly etag: string | undefined;
}

/**
 * What is sent:
 * - `json`: the text that the app makes of the handler's object; a long one that comes out of the store as it lies
 *   there, in UTF-8
 * - `text`: the text that the handler answered
 * - `value`: something that the platform turns into a body each time
 */
export type AnswerBody =
  | { readonly kind: 'json'; readonly content: string | Uint8Array }
  | { readonly kind: 'text'; readonly text: string }
  | { readonly kind: 'value'; readonly value: unknown };

/** What is known of an answer only in the request whose handler gave it. */
interface Making {
  /** What the handler answered. */
  readonly value: unknown;
  readonly admission: Admission;
}

/** An answer to a request, as it was just made or as it came out of the store. */
export interface HttpAnswer extends AnswerHead {
  readonly body: AnswerBody;
  /** `undefined`: it came out of the store. */
  readonly made?: Making;
}

/** An answer that is handed on as the handler gave it, with what the handler said about the response. */
export function untouched(value: unknown): HttpAnswer {
  const made = { value, admission: 'own' } as const;
  return { status: undefined, headers: {}, etag: undefined, body: { kind: 'value', value }, made };
}
