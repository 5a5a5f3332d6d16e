import type { AddressInfo } from 'node:net';
import { Controller, type DynamicModule, Module, type Type } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { Args, Context, GraphQLModule, Query, Resolver } from '@nestjs/graphql';
import { MercuriusDriver, type MercuriusDriverConfig } from '@nestjs/mercurius';
import {
  ClientProxyFactory,
  Ctx,
  MessagePattern,
  Payload,
  TcpContext,
  Transport,
} from '@nestjs/microservices';
import { FastifyAdapter, type NestFastifyApplication } from '@nestjs/platform-fastify';
import { WsAdapter } from '@nestjs/platform-ws';
import { MessageBody, SubscribeMessage, WebSocketGateway } from '@nestjs/websockets';
import { Cached, CacheEvict, CachekitModule } from 'nestjs-cachekit';
import { firstValueFrom, of, type Observable } from 'rxjs';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import WebSocket from 'ws';
import { freePort } from '../servers/free-port.js';

let runs = 0;
let warnings: string[] = [];
const closing: (() => unknown)[] = [];
const logger = {
  log() {},
  error() {},
  fatal() {},
  warn: (message: unknown) => warnings.push(String(message)),
};

beforeEach(() => {
  runs = 0;
  warnings = [];
});
afterEach(async () => {
  for (const close of closing.splice(0)) await close();
});

function moduleOf(parts: { controllers?: Type[]; providers?: Type[]; imports?: DynamicModule[] }): Type {
  class AppModule {}
  const imports = [CachekitModule.forRoot(), ...(parts.imports ?? [])];
  Module({ ...parts, imports })(AppModule);
  return AppModule;
}

@Controller()
class SumController {
  @MessagePattern('sum')
  @Cached({ tags: ['sums'] })
  async sum(@Payload() numbers: number[]): Promise<unknown> {
    return { sum: numbers.reduce((a, b) => a + b, 0), run: ++runs };
  }
  @MessagePattern('undecorated')
  @Cached()
  async undecorated(numbers: number[]): Promise<unknown> {
    return { sum: numbers.length, run: ++runs };
  }
  @MessagePattern('context')
  @Cached()
  async context(@Payload() numbers: number[], @Ctx() context: TcpContext): Promise<unknown> {
    return { pattern: context.getPattern(), sum: numbers.length, run: ++runs };
  }
  @MessagePattern('observable')
  @Cached()
  async observable(): Promise<Observable<number>> {
    return of(++runs);
  }
  @MessagePattern('reset')
  @CacheEvict({ tags: ['sums'] })
  async reset(): Promise<string> {
    return 'reset';
  }
}

describe('A message handler', () => {
  async function connect(): Promise<(pattern: string, data: unknown) => Promise<unknown>> {
    const options = { host: '127.0.0.1', port: await freePort() };
    const app = await NestFactory.createMicroservice(moduleOf({ controllers: [SumController] }), {
      transport: Transport.TCP,
      options,
      logger,
    });
    await app.listen();
    const client = ClientProxyFactory.create({ transport: Transport.TCP, options });
    closing.push(
      () => client.close(),
      () => app.close(),
    );
    return (pattern, data) => firstValueFrom(client.send(pattern, data));
  }

  it.each(['sum', 'undecorated'])('is cached by its payload (%s)', async (pattern) => {
    const send = await connect();
    expect([await send(pattern, [1]), await send(pattern, [1]), await send(pattern, [1, 2])]).toMatchObject([
      { run: 1 },
      { run: 1 },
      { run: 2 },
    ]);
    expect(warnings).toEqual([]);
  });

  it('evicts', async () => {
    const send = await connect();
    await send('sum', [1]);
    expect(await send('reset', [])).toBe('reset');
    expect(await send('sum', [1])).toMatchObject({ run: 2 });
  });

  it('is not cached if it takes the context, with a warning', async () => {
    const send = await connect();
    expect([await send('context', [1]), await send('context', [1])]).toMatchObject([{ run: 1 }, { run: 2 }]);
    expect(warnings).toEqual([expect.stringMatching(/SumController\.context: .*an instance of TcpContext/)]);
  });

  it('is not cached if it answers an Observable', async () => {
    const send = await connect();
    expect([await send('observable', []), await send('observable', [])]).toEqual([1, 2]);
  });
});

@WebSocketGateway()
class SumGateway {
  @SubscribeMessage('sum')
  @Cached()
  async sum(@MessageBody() numbers: number[]): Promise<unknown> {
    return { event: 'sum', data: { sum: numbers.length, run: ++runs } };
  }
  @SubscribeMessage('undecorated')
  @Cached()
  async undecorated(_client: unknown, numbers: number[]): Promise<unknown> {
    return { event: 'undecorated', data: { sum: numbers.length, run: ++runs } };
  }
}

describe('A WebSocket handler', () => {
  async function connect(): Promise<(event: string, data: unknown) => Promise<unknown>> {
    const app = await NestFactory.create(moduleOf({ providers: [SumGateway] }), { logger });
    app.useWebSocketAdapter(new WsAdapter(app));
    await app.listen(0, '127.0.0.1');
    const { port } = (app.getHttpServer() as { address(): AddressInfo }).address();
    const socket = new WebSocket(`ws://127.0.0.1:${port}`);
    closing.push(
      () => socket.close(),
      () => app.close(),
    );
    await new Promise((resolve) => socket.once('open', resolve));
    return (event, data) =>
      new Promise((resolve) => {
        socket.once('message', (text: Buffer) => resolve(JSON.parse(text.toString())));
        socket.send(JSON.stringify({ event, data }));
      });
  }

  it('is cached by its message', async () => {
    const send = await connect();
    expect([await send('sum', [1]), await send('sum', [1]), await send('sum', [1, 2])]).toMatchObject([
      { data: { run: 1 } },
      { data: { run: 1 } },
      { data: { run: 2 } },
    ]);
    expect(warnings).toEqual([]);
  });

  it('is not cached if it takes the socket, with a warning', async () => {
    const send = await connect();
    expect([await send('undecorated', [1]), await send('undecorated', [1])]).toMatchObject([
      { data: { run: 1 } },
      { data: { run: 2 } },
    ]);
    expect(warnings).toEqual([expect.stringMatching(/SumGateway\.undecorated: .*an instance of WebSocket/)]);
  });
});

interface AppContext {
  readonly reply: { readonly request: { readonly headers: Record<string, string | undefined> } };
}
const nameIn = (context: unknown): string =>
  (context as AppContext).reply.request.headers['authorization'] ?? '';

@Resolver()
class SumResolver {
  @Query(() => String)
  @Cached()
  async plain(@Args('a') a: string): Promise<string> {
    return `${a} ${++runs}`;
  }
  @Query(() => String)
  @Cached()
  async me(@Context() context: AppContext): Promise<string> {
    return `${nameIn(context)} ${++runs}`;
  }
  @Query(() => String)
  @Cached({ key: 'keyed' })
  async keyed(@Context() context: AppContext): Promise<string> {
    return `${nameIn(context)} ${++runs}`;
  }
  @Query(() => String)
  @Cached({ key: ({ args: [context] }) => nameIn(context), scope: 'public' })
  async declared(@Context() context: AppContext): Promise<string> {
    return `${nameIn(context)} ${++runs}`;
  }
}

describe('A GraphQL resolver', () => {
  async function serve(): Promise<(query: string, authorization?: string) => Promise<unknown>> {
    const graphql = GraphQLModule.forRoot<MercuriusDriverConfig>({
      driver: MercuriusDriver,
      autoSchemaFile: true,
    });
    const app = await NestFactory.create<NestFastifyApplication>(
      moduleOf({ imports: [graphql], providers: [SumResolver] }),
      new FastifyAdapter(),
      { logger },
    );
    await app.init();
    closing.push(() => app.close());
    return async (query, authorization) => {
      const headers = authorization === undefined ? {} : { authorization };
      const answer = await app.inject({ method: 'POST', url: '/graphql', payload: { query }, headers });
      return Object.values(answer.json<{ data: object }>().data)[0];
    };
  }

  it('is cached by its arguments', async () => {
    const ask = await serve();
    const query = (a: string): Promise<unknown> => ask(`{ plain(a: "${a}") }`);
    expect([await query('x'), await query('x'), await query('y')]).toEqual(['x 1', 'x 1', 'y 2']);
    expect(warnings).toEqual([]);
  });

  it.each(['me', 'keyed'])('with the context is not cached for somebody (%s)', async (name) => {
    const ask = await serve();
    const query = `{ ${name} }`;
    expect([await ask(query, 'Bearer a'), await ask(query, 'Bearer b')]).toEqual([
      'Bearer a 1',
      'Bearer b 2',
    ]);
  });

  it('with the context is cached if its author says that the key is complete', async () => {
    const ask = await serve();
    const answers = [];
    for (const name of ['a', 'a', 'b']) answers.push(await ask('{ declared }', `Bearer ${name}`));
    expect(answers).toEqual(['Bearer a 1', 'Bearer a 1', 'Bearer b 2']);
  });
});
