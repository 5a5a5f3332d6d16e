import { validateHeaderName, validateHeaderValue } from 'node:http';
import { asBuffer } from '../../core/as-buffer.js';
import { BrokenEntryError } from '../../core/errors.js';
import type { CacheSerializer, SerializedValue, SharingSerializer } from '../../core/serializer.js';
import { parseJson, ValueSerializer } from '../../core/value.serializer.js';
import type { AnswerBody, AnswerHead, HeaderValue, HttpAnswer } from './http-answer.js';
import { isStorableStatus } from './storable-response.js';

/** The letter of an answer that is stored as a line of JSON about it, and the very bytes that are sent. */
const ANSWER_CODEC = 'a';
const NEWLINE = 0x0a;
/** Node writes a short text together with the headers, and bytes by themselves. */
const MOST_BYTES_AS_TEXT = 16_384;
const MOST_CHARACTERS_KEPT = 4_096;

/** What stands before the body. What is `undefined` is left out. */
interface StoredHead extends Partial<AnswerHead> {
  readonly body: AnswerBody['kind'];
  /** How a value is encoded. */
  readonly codec?: string;
}

/**
 * Stores answers as they are sent, readable in the store: `{"body":"json","etag":"W/\"1f-k\""}`, a line feed, the body.
 *
 * Where the app has a serializer of its own, the whole answer goes through that: it may encrypt what is stored.
 */
export class AnswerSerializer implements SharingSerializer {
  private readonly storesPlain: boolean;

  /** @param values the serializer of the cache */
  constructor(private readonly values: CacheSerializer) {
    this.storesPlain = Object.getPrototypeOf(values) === ValueSerializer.prototype;
  }

  /** @throws UnserializableValueError, or what the app's serializer throws */
  serialize(answer: HttpAnswer): SerializedValue {
    const { status, headers, etag, body } = answer;
    const head: StoredHead = {
      body: body.kind,
      ...(status !== undefined && { status }),
      ...(Object.keys(headers).length > 0 && { headers }),
      ...(etag !== undefined && { etag }),
    };
    if (!this.storesPlain) return this.values.serialize({ ...head, content: contentOf(body) });
    if (body.kind === 'json') return plain(head, body.content);
    if (body.kind === 'text') return plain(head, body.text);
    const { codec, payload } = this.values.serialize(body.value);
    return plain({ ...head, codec }, payload);
  }

  /** @throws BrokenEntryError, or what the app's serializer throws */
  deserialize(codec: string, payload: Uint8Array): HttpAnswer {
    if (!this.storesPlain) return this.deserializeWhole(codec, payload);
    const end = codec === ANSWER_CODEC ? payload.indexOf(NEWLINE) : -1;
    if (end < 0) throw broken('it was written in another form');
    const head = checkHead(parseJson(textOf(payload.subarray(0, end))));
    const content = payload.subarray(end + 1);
    return { ...headOf(head), body: this.bodyOf(head, content) };
  }

  /**
   * A short text: to read a longer one again takes little, beside sending it. A value, or a list of headers that Node was
   * given, may be changed by what lies outside the cache.
   */
  keeps({ body, headers }: HttpAnswer): boolean {
    if (body.kind === 'value' || Object.values(headers).some(Array.isArray)) return false;
    const content = body.kind === 'text' ? body.text : body.content;
    return typeof content === 'string' && content.length <= MOST_CHARACTERS_KEPT;
  }

  private bodyOf({ body, codec = '' }: StoredHead, content: Uint8Array): AnswerBody {
    if (body === 'json')
      return { kind: body, content: content.length > MOST_BYTES_AS_TEXT ? content : textOf(content) };
    if (body === 'text') return { kind: body, text: textOf(content) };
    return { kind: 'value', value: this.values.deserialize(codec, content) };
  }

  private deserializeWhole(codec: string, payload: Uint8Array): HttpAnswer {
    const whole = this.values.deserialize(codec, payload);
    const head = checkHead(whole);
    const { content } = whole as { readonly content?: unknown };
    if (head.body === 'value') return { ...headOf(head), body: { kind: 'value', value: content } };
    if (typeof content !== 'string') throw broken('its body is not a text');
    const body: AnswerBody =
      head.body === 'text' ? { kind: 'text', text: content } : { kind: 'json', content };
    return { ...headOf(head), body };
  }
}

function plain(head: StoredHead, content: string | Uint8Array): SerializedValue {
  const line = `${JSON.stringify(head)}\n`;
  const payload = typeof content === 'string' ? line + content : Buffer.concat([Buffer.from(line), content]);
  return { codec: ANSWER_CODEC, payload };
}

function contentOf(body: AnswerBody): unknown {
  if (body.kind === 'json') return typeof body.content === 'string' ? body.content : textOf(body.content);
  return body.kind === 'text' ? body.text : body.value;
}

function headOf({ status, headers = {}, etag }: StoredHead): AnswerHead {
  return { status, headers, etag };
}

const KINDS: readonly unknown[] = ['json', 'text', 'value'] satisfies AnswerBody['kind'][];

/** Node would throw for an illegal header when the answer is sent, which is too late to ask the handler. */
function checkHead(head: unknown): StoredHead {
  if (typeof head !== 'object' || head === null) throw broken('its head is not an object');
  const { body, status, headers = {}, etag } = head as { readonly [name in keyof StoredHead]: unknown };
  if (!KINDS.includes(body)) throw broken('its kind is unknown');
  if (status !== undefined && !(typeof status === 'number' && isStorableStatus(status)))
    throw broken('its status is none that is stored');
  if (typeof headers !== 'object' || headers === null) throw broken('its headers are not an object');
  for (const [name, value] of Object.entries(headers)) checkHeader(name, value);
  if (etag !== undefined) checkHeader('etag', etag);
  return head as StoredHead;
}

function checkHeader(name: string, value: unknown): asserts value is HeaderValue {
  const values: unknown[] = Array.isArray(value) ? value : [value];
  for (const item of values) {
    if (typeof item !== 'string' && typeof item !== 'number') throw broken('a header is no text');
    validateHeaderName(name);
    validateHeaderValue(name, String(item));
  }
}

function broken(reason: string): BrokenEntryError {
  return new BrokenEntryError(`This is no answer that can be sent again: ${reason}.`);
}

function textOf(bytes: Uint8Array): string {
  return asBuffer(bytes).toString();
}
