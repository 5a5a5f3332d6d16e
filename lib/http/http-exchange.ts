import type {
  IncomingHttpHeaders,
  IncomingMessage,
  OutgoingHttpHeader,
  OutgoingHttpHeaders,
} from 'node:http';
import { TLSSocket } from 'node:tls';
import type { ExecutionContext, HttpServer } from '@nestjs/common';
import type { HeaderValue } from './answer/http-answer.js';

/**
 * What requests of Express and Fastify have in common. A callback may declare a narrower type instead, that of its
 * platform or one of the app: `identify: (request: RequestWithUser) => request.user?.id` with
 * `interface RequestWithUser extends HttpRequest { user?: { id: string } }`.
 */
export interface HttpRequest {
  readonly method: string;
  readonly url: string;
  readonly headers: IncomingHttpHeaders;
  readonly params: unknown;
  readonly query: unknown;
  readonly body?: unknown;
  /** What an authentication guard found. */
  readonly user?: unknown;
}

/** What of a request only some platforms have. */
interface PlatformRequest extends HttpRequest {
  /** Express. */
  readonly route?: { readonly path?: string | RegExp };
  /** Express: where the app is mounted in another one; empty where it is not. */
  readonly baseUrl?: string;
  /** Fastify. */
  readonly routeOptions?: { readonly url?: string };
  /** Fastify: Node's request, which is also what Nest middleware gets there. */
  readonly raw?: IncomingMessage & { readonly user?: unknown };
}

/** What responses of Express and Fastify have in common. */
interface PlatformResponse {
  statusCode: number;
  getHeader(name: string): OutgoingHttpHeader | undefined;
  getHeaders(): OutgoingHttpHeaders;
  removeHeader(name: string): void;
  /** Node's own, on Express. */
  setHeader(name: string, value: HeaderValue): void;
}

/** The platforms whose way of making a body is known; others get values, never texts. */
export type Platform = 'express' | 'fastify' | 'other';

/** A snapshot of what was said so far about an answer, for finding out who said it. */
export interface ResponseHead {
  readonly status: number;
  readonly headers: OutgoingHttpHeaders;
}

/** One request and its response, the same on Express and Fastify. */
export class HttpExchange {
  readonly request: HttpRequest;
  private readonly platformRequest: PlatformRequest;
  private readonly response: PlatformResponse;
  readonly platform: Platform;
  private parsedQuery: unknown;
  private parsedHeaders: IncomingHttpHeaders | undefined;

  constructor(
    context: ExecutionContext,
    readonly adapter: HttpServer,
  ) {
    const http = context.switchToHttp();
    this.platformRequest = http.getRequest<PlatformRequest>();
    this.request = this.platformRequest;
    this.response = http.getResponse<PlatformResponse>();
    const type = adapter.getType?.();
    this.platform = type === 'express' || type === 'fastify' ? type : 'other';
  }

  /** What the platform's parser made of the query. Express parses it anew each time it is asked. */
  get query(): unknown {
    return (this.parsedQuery ??= this.request.query);
  }

  /** @param name in lower case */
  header(name: string): string | readonly string[] | undefined {
    return this.headers[name];
  }

  /** The first header of the request that is one of these; `undefined` if none is. */
  firstHeaderOf(names: ReadonlySet<string>): string | undefined {
    // A request has fewer headers than there are names for credentials.
    for (const name in this.headers) if (names.has(name)) return name;
    return undefined;
  }

  /** Whether the request says twice what may be said once; Node keeps the first and drops the others. */
  repeatsHeader(name: string): boolean {
    return (
      this.incoming.rawHeaders.filter((text, index) => index % 2 === 0 && text.toLowerCase() === name)
        .length > 1
    );
  }

  /** The path as it was declared (`/cats/:id`), `null` on a platform that doesn't tell. */
  get routeTemplate(): string | null {
    const template = this.platformRequest.routeOptions?.url ?? this.platformRequest.route?.path;
    return template === undefined ? null : String(template);
  }

  /** The path below which the app is mounted in another one, as it was sent; `undefined` where it is not. */
  get mountPath(): string | undefined {
    const { baseUrl = '' } = this.platformRequest;
    return baseUrl === '' ? undefined : baseUrl;
  }

  /** The host that the request is for, as Nest's host filter sees it; `null` if it names none. */
  get hostname(): string | null {
    const hostname: unknown = this.adapter.getRequestHostname?.(this.request);
    return typeof hostname === 'string' ? hostname : null;
  }

  /** What guards and middleware know of the requester; on Fastify, middleware sees another object than guards. */
  get users(): readonly unknown[] {
    const [user, rawUser] = [this.request.user ?? undefined, this.platformRequest.raw?.user ?? undefined];
    if (user === undefined && rawUser === undefined) return NOBODY;
    return [user, rawUser].filter((one) => one !== undefined);
  }

  /** The object that Nest hands to the extractor of custom versioning, on this platform. */
  get versionedRequest(): unknown {
    return this.incoming;
  }

  /** Whether the client proved who it is by a TLS certificate. */
  get hasClientCertificate(): boolean {
    const { socket } = this.incoming;
    if (!(socket instanceof TLSSocket)) return false;
    // Node sets one of the two if and only if the server asked for a certificate.
    if (!socket.authorized && !socket.authorizationError) return false;
    return Object.keys(socket.getPeerCertificate()).length > 0;
  }

  /** A GET may have a body. Over HTTP/2 no header announces it, so what a parser made of it counts too. */
  get hasBody(): boolean {
    const {
      headers,
      request: { body },
    } = this;
    if (headers['transfer-encoding'] !== undefined) return true;
    if (headers['content-length'] !== undefined && headers['content-length'] !== '0') return true;
    if (typeof body === 'object' && body !== null) return Object.keys(body).length > 0;
    return body !== undefined && body !== null && body !== '';
  }

  /** The status of the answer, as far as it is known. */
  get status(): number {
    return this.response.statusCode;
  }

  responseHeader(name: string): OutgoingHttpHeader | undefined {
    return this.response.getHeader(name);
  }

  get responseHead(): ResponseHead {
    const headers = this.response.getHeaders();
    // Express and Fastify answer a copy.
    return {
      status: this.response.statusCode,
      headers: this.platform === 'other' ? { ...headers } : headers,
    };
  }

  /** @param name in lower case, as Fastify wants it: to make it so takes as long as the rest of what it does */
  setResponseHeader(name: string, value: HeaderValue): void {
    // The adapter would take Express' `res.set`, which adds a charset to a content type.
    if (this.platform === 'express') this.response.setHeader(AS_WRITTEN.get(name) ?? name, value);
    // Fastify's takes what Node's does, though Nest's type does not say so.
    else this.adapter.setHeader?.(this.response, name, value as string);
  }

  removeResponseHeader(name: string): void {
    this.response.removeHeader(name);
  }

  setStatus(status: number): void {
    this.adapter.status(this.response, status);
  }

  /** Whether it is too late to say anything about the answer. */
  get isSent(): boolean {
    return this.adapter.isHeadersSent?.(this.response) === true;
  }

  /** The response as the platform has it, for what only one platform can be asked. */
  get platformResponse(): unknown {
    return this.response;
  }

  /** Fastify and Node put them together anew, or look whether they did, each time they are asked. */
  private get headers(): IncomingHttpHeaders {
    return (this.parsedHeaders ??= this.request.headers);
  }

  private get incoming(): IncomingMessage {
    return this.platformRequest.raw ?? (this.platformRequest as unknown as IncomingMessage);
  }
}

const NOBODY: readonly unknown[] = [];

/** How Node is used to write the headers that the cache sets. */
const AS_WRITTEN: ReadonlyMap<string, string> = new Map([
  ['age', 'Age'],
  ['cache-control', 'Cache-Control'],
  ['cache-status', 'Cache-Status'],
  ['content-type', 'Content-Type'],
  ['etag', 'ETag'],
  ['vary', 'Vary'],
]);
