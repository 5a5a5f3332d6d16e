import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { buffer } from 'node:stream/consumers';

/** A request as it came from the client. */
export interface HttpQuestion {
  readonly path: string;
  readonly headers: IncomingMessage['headers'];
  readonly body: string;
}

/** An answer for the client. */
export interface HttpAnswer {
  readonly status: number;
  readonly body: string;
}

/** Asks the server, with this body in place of the client's if one is given. */
export type Forward = (body?: string) => Promise<HttpAnswer>;

/** What happens to a request. No answer means that the connection is cut; a promise that stays pending is silence. */
export type OnRequest = (question: HttpQuestion, forward: Forward) => Promise<HttpAnswer | undefined>;

/** Headers that `fetch` makes itself. */
const OF_ONE_CONNECTION = ['host', 'connection', 'content-length', 'transfer-encoding'];

/**
 * An HTTP proxy on 127.0.0.1 in front of one server, for answers that a real server gives too rarely to wait for. A
 * new one passes everything on.
 */
export class AnswerProxy {
  /** What came so far. */
  readonly questions: HttpQuestion[] = [];
  /** What to do with the requests from now on. */
  onRequest: OnRequest = (_, forward) => forward();
  private readonly listener: Server;

  private constructor(private readonly serverUrl: string) {
    this.listener = createServer((request, response) => void this.handle(request, response));
  }

  /** Starts a proxy in front of the server at `url`. */
  static async to(url: string): Promise<AnswerProxy> {
    const proxy = new AnswerProxy(url);
    proxy.listener.listen(0, '127.0.0.1');
    await once(proxy.listener, 'listening');
    return proxy;
  }

  /** What clients connect to. */
  get url(): string {
    const { port } = this.listener.address() as AddressInfo;
    return `http://127.0.0.1:${port}`;
  }

  /** Ends it, with all its connections. */
  async stop(): Promise<void> {
    const closed = once(this.listener, 'close');
    this.listener.close();
    this.listener.closeAllConnections();
    await closed;
  }

  private async handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { url: path = '/', headers } = request;
    const question = { path, headers, body: (await buffer(request)).toString('utf8') };
    this.questions.push(question);
    const forward: Forward = (body = question.body) => this.ask(question, body);
    const answer = await this.onRequest(question, forward).catch(() => undefined);
    if (answer === undefined) return void request.socket.destroy();
    response.writeHead(answer.status, { 'content-type': 'application/x-amz-json-1.0' }).end(answer.body);
  }

  private async ask({ path, headers }: HttpQuestion, body: string): Promise<HttpAnswer> {
    const passedOn = Object.entries(headers).filter(([name]) => !OF_ONE_CONNECTION.includes(name));
    const asked = { method: 'POST', headers: passedOn.map(toHeader), body };
    const answer = await fetch(new URL(path, this.serverUrl), asked);
    return { status: answer.status, body: await answer.text() };
  }
}

function toHeader([name, value]: [string, string | string[] | undefined]): [string, string] {
  return [name, String(value)];
}
