import { Redis } from 'ioredis';
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { text } from 'node:stream/consumers';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, onTestFinished, test } from 'vitest';
import { describeOn } from '../servers/describe-on.js';
import { startRedis } from '../servers/redis.server.js';
import { FaultProxy } from './fault-proxy.js';

const AN_HOUR_MS = 3_600_000;
/** No test takes it, as it may take any other between two looks. */
const NOBODYS_PORT = 1;

describe('a fault proxy', () => {
  let echo: Server;
  let echoPort: number;
  let proxy: FaultProxy;
  beforeAll(async () => {
    echo = createServer((socket) => socket.on('error', () => undefined).pipe(socket)).listen(0, '127.0.0.1');
    await once(echo, 'listening');
    ({ port: echoPort } = echo.address() as AddressInfo);
  });
  afterAll(() => echo.close());
  beforeEach(async () => {
    proxy = await FaultProxy.to(echoPort);
  });
  afterEach(() => proxy.takeDown());

  test('passes on what is said, unchanged, and the end of it', async () => {
    const client = await dial(proxy.port);
    const sent = 'é'.repeat(3_000_000);
    client.end(sent);
    expect((await text(client)) === sent).toBe(true);
    await expect.poll(() => proxy.openConnections).toBe(0);
  });

  test.each(['upMs', 'downMs', 'jitterMs'])(
    'delivers all of it, late and in order, with %s',
    async (part) => {
      const client = await dial(proxy.port);
      proxy.delay({ [part]: 30 });
      const words = Array.from({ length: 100 }, (_, index) => `${index}`.padEnd(40_000));
      for (const word of words) client.write(word);
      client.end();
      expect((await text(client)) === words.join('')).toBe(true);
    },
  );

  test.each(['upMs', 'downMs', 'jitterMs'])('delivers nothing before %s is over', async (part) => {
    const client = await dial(proxy.port);
    proxy.delay({ [part]: AN_HOUR_MS });
    await expectSilence(ask(client, 'hello'));
  });

  test('holds everything back while it stalls, and loses nothing of it', async () => {
    const [old, cut] = [await dial(proxy.port), await dial(proxy.port)];
    proxy.stall();
    const answers = [ask(old, 'old'), ask(await dial(proxy.port), 'new')];
    for (const answer of answers) await expectSilence(answer);
    cut.destroy();
    proxy.pass();
    expect(await Promise.all(answers)).toEqual(['old', 'new']);
  });

  test('loses what is said in a blackhole for good, and only on connections of that time', async () => {
    const old = await dial(proxy.port);
    proxy.blackhole();
    const answers = [ask(old, 'old'), ask(await dial(proxy.port), 'new')];
    for (const answer of answers) await expectSilence(answer);
    proxy.pass();
    expect(await ask(await dial(proxy.port), 'later')).toBe('later');
    for (const answer of answers) await expectSilence(answer);
  });

  test('resets new connections when it refuses, and no others', async () => {
    const old = await dial(proxy.port);
    expect(await ask(old, 'put through')).toBe('put through');
    proxy.refuse();
    expect(await ending(connect(proxy.port, '127.0.0.1'))).toBe('ECONNRESET');
    expect(await ask(old, 'old')).toBe('old');
  });

  test('ends new connections in order when it hangs up, and no others', async () => {
    const old = await dial(proxy.port);
    expect(await ask(old, 'put through')).toBe('put through');
    proxy.hangUp();
    expect(await ending(await dial(proxy.port))).toBe('end');
    expect(await ask(old, 'old')).toBe('old');
  });

  test.each([
    ['rst', 'ECONNRESET'],
    ['fin', 'end'],
  ] as const)('cuts all connections by %s, and lets new ones through', async (how, expected) => {
    const clients = [await dial(proxy.port), await dial(proxy.port)];
    await Promise.all(clients.map((client) => ask(client, 'put through')));
    const endings = Promise.all(clients.map(ending));
    proxy.cut(how);
    expect(await endings).toEqual([expected, expected]);
    expect(await ask(await dial(proxy.port), 'again')).toBe('again');
  });

  test.each([
    ['rst', 'ECONNRESET'],
    ['fin', 'end'],
  ] as const)('cuts one connection by %s in the middle of an answer', async (how, expected) => {
    const client = await dial(proxy.port);
    let received = '';
    client.on('data', (chunk) => (received += String(chunk)));
    proxy.cutAnswerAfter(5, how);
    client.write('abc');
    client.write('defghi');
    expect(await ending(client)).toBe(expected);
    expect(received).toBe('abcde');
    expect(await ask(await dial(proxy.port), 'again, longer than before')).toBe('again, longer than before');
  });

  test('refuses connections while it is down, and listens on the same port again', async () => {
    const old = await dial(proxy.port);
    expect(await ask(old, 'put through')).toBe('put through');
    const oldEnding = ending(old);
    await proxy.takeDown();
    expect(await oldEnding).toBe('ECONNRESET');
    await expect(dial(proxy.port)).rejects.toMatchObject({ code: 'ECONNREFUSED' });
    await proxy.bringUp();
    expect(await ask(await dial(proxy.port), 'again')).toBe('again');
  });

  test('resets the connection when the server is not there', async () => {
    const toNobody = await FaultProxy.to(NOBODYS_PORT);
    onTestFinished(() => toNobody.takeDown());
    expect(await ending(connect(toNobody.port, '127.0.0.1'))).toBe('ECONNRESET');
  });

  /** Asserts that a promise is still pending after more than enough round trips past the proxy. */
  async function expectSilence(answer: Promise<string>): Promise<void> {
    const direct = await dial(echoPort);
    for (let trip = 0; trip < 50; trip++) await ask(direct, `${trip}`);
    expect(await Promise.race([answer, Promise.resolve('silence')])).toBe('silence');
  }
});

describeOn('redis process', 'a Redis behind a fault proxy', () => {
  test('is out of reach while the proxy is down, and answers the same client after', async () => {
    const server = await startRedis();
    onTestFinished(() => server.stop());
    const proxy = await FaultProxy.to(server.port);
    onTestFinished(() => proxy.takeDown());
    const client = new Redis({ port: proxy.port, maxRetriesPerRequest: 1, retryStrategy: () => 10 });
    client.on('error', () => undefined);
    onTestFinished(() => client.disconnect());

    expect(await client.set('key', 'value')).toBe('OK');
    await proxy.takeDown();
    await expect(client.get('key')).rejects.toThrow('max retries');
    await proxy.bringUp();
    await expect.poll(() => client.get('key').catch(String)).toBe('value');
  });
});

async function dial(port: number): Promise<Socket> {
  const socket = connect(port, '127.0.0.1');
  onTestFinished(() => void socket.destroy());
  await once(socket, 'connect');
  socket.on('error', () => undefined);
  return socket;
}

/** Says something to the echo and answers what comes back, once all of it did. */
function ask(socket: Socket, words: string): Promise<string> {
  return new Promise((resolve) => {
    let answer = '';
    const listen = (chunk: Buffer): void => {
      answer += String(chunk);
      if (answer.length < words.length) return;
      socket.off('data', listen);
      resolve(answer);
    };
    socket.on('data', listen);
    socket.write(words);
  });
}

/** How the connection ends, as its client sees it: "end", or the code of the error. */
function ending(socket: Socket): Promise<string> {
  return new Promise((resolve) => {
    socket.once('end', () => resolve('end'));
    socket.once('error', (error: NodeJS.ErrnoException) => resolve(String(error.code)));
    socket.resume();
  });
}
