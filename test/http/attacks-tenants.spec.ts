import { AsyncLocalStorage } from 'node:async_hooks';
import { createServer, type IncomingMessage } from 'node:http';
import {
  Controller,
  Get,
  Inject,
  Injectable,
  Module,
  Param,
  type PipeTransform,
  Scope,
  type Type,
  UsePipes,
  Version,
  VersioningType,
} from '@nestjs/common';
import {
  APP_PIPE,
  ContextIdFactory,
  type ContextId,
  type HostComponentInfo,
  NestFactory,
  REQUEST,
  RouterModule,
} from '@nestjs/core';
import { ExpressAdapter } from '@nestjs/platform-express';
import { FastifyAdapter, type NestFastifyApplication } from '@nestjs/platform-fastify';
import { Cached, type CachedOptions, CachekitModule, InMemoryBackend } from 'nestjs-cachekit';
import { describe, expect, it, onTestFinished } from 'vitest';
import { expressOf, PLATFORMS, serve, Server, start } from './serve.js';

/** What nestjs-cls is made of: the cache sees nothing of it. */
const tenant = new AsyncLocalStorage<string>();

/** A handler that asks nobody but the store for its tenant. */
function tenantsController(cached: CachedOptions = {}): Type {
  @Controller()
  class CatsController {
    @Get('cats')
    @Cached(cached)
    list(): string {
      return `cats of ${tenant.getStore()}`;
    }
  }
  return CatsController;
}

/** Puts the first segment of the path, or the header `x-tenant`, into the store. */
const findTenant = (request: IncomingMessage, _response: unknown, next: () => void): void => {
  const [, segment] = String(request.url).split('/');
  tenant.run(String(request.headers['x-tenant'] ?? segment), next);
};

interface Asked {
  readonly headers: Readonly<Record<string, string>>;
}

async function expectOwnCats(server: Server): Promise<void> {
  for (const name of ['acme', 'globex', 'acme', 'globex'])
    expect((await server.get(`/${name}/cats`)).body).toBe(`cats of ${name}`);
}

function moduleOf(controller: Type): Type {
  class AppModule {}
  Module({ imports: [CachekitModule.forRoot(new InMemoryBackend())], controllers: [controller] })(AppModule);
  return AppModule;
}

describe.each(PLATFORMS)('On %s, a tenant never receives what another one asked for', (platform) => {
  it('when the global prefix of the app names it, and the handler has it from AsyncLocalStorage', async () => {
    const server = await serve(platform, {
      controllers: [tenantsController()],
      configure: (app) => app.setGlobalPrefix(':tenant').use(findTenant),
    });
    await expectOwnCats(server);
    expect((await server.get('/acme/cats')).cache).toMatch(/hit/);
  });

  it('when RouterModule puts its modules below a parameter', async () => {
    const child = moduleOf(tenantsController());
    class AppModule {}
    Module({ imports: [child, RouterModule.register([{ path: ':tenant', module: child }])] })(AppModule);
    await expectOwnCats(await start(platform, AppModule, (app) => app.use(findTenant)));
  });

  it('when a header names it, the store holds it, and vary names the header', async () => {
    const server = await serve(platform, {
      controllers: [tenantsController({ vary: ['x-tenant'] })],
      configure: (app) => app.use(findTenant),
    });
    for (const name of ['acme', 'globex', 'acme'])
      expect((await server.get('/cats', { 'x-tenant': name })).body).toBe(`cats of ${name}`);
  });

  it('when one controller stands in the modules of both, with the same option key', async () => {
    @Controller('cats')
    class CatsController {
      constructor(@Inject('TENANT') private readonly name: string) {}

      @Get()
      @Cached({ key: 'all' })
      list(): string {
        return `cats of ${this.name}`;
      }
    }
    const modules = ['acme', 'globex'].map((path) => {
      class TenantModule {}
      const providers = [{ provide: 'TENANT', useValue: path }];
      Module({ controllers: [CatsController], providers })(TenantModule);
      return { path, module: TenantModule };
    });
    class AppModule {}
    const imports = modules.map(({ module }) => module);
    Module({
      imports: [CachekitModule.forRoot(new InMemoryBackend()), ...imports, RouterModule.register(modules)],
    })(AppModule);
    await expectOwnCats(await start(platform, AppModule));
  });

  it('when a provider that is made for each request holds it, deep in a chain of singletons', async () => {
    @Injectable({ scope: Scope.REQUEST })
    class Tenant {
      constructor(@Inject(REQUEST) readonly request: Asked) {}
    }
    @Injectable()
    class Repository {
      constructor(@Inject(Tenant) readonly tenant: Tenant) {}
    }
    @Controller()
    class CatsController {
      constructor(@Inject(Repository) private readonly repository: Repository) {}

      @Get('cats')
      @Cached()
      list(): string {
        return String(this.repository.tenant.request.headers['x-tenant']);
      }
    }
    const server = await serve(platform, { controllers: [CatsController], providers: [Tenant, Repository] });
    for (const name of ['acme', 'globex', 'acme'])
      expect((await server.get('/cats', { 'x-tenant': name })).body).toBe(name);
  });

  it('when a durable provider holds it', async () => {
    const trees = new Map<string, ContextId>();
    ContextIdFactory.apply({
      attach(contextId: ContextId, { headers }: Asked) {
        const name = String(headers['x-tenant']);
        const tree = trees.get(name) ?? ContextIdFactory.create();
        trees.set(name, tree);
        const resolve = ({ isTreeDurable }: HostComponentInfo): ContextId =>
          isTreeDurable ? tree : contextId;
        return { resolve, payload: { name } };
      },
    });
    onTestFinished(() => ContextIdFactory.apply({ attach: () => undefined }));
    @Injectable({ scope: Scope.REQUEST, durable: true })
    class Tenant {
      constructor(@Inject(REQUEST) readonly payload: { readonly name: string }) {}
    }
    @Controller()
    class CatsController {
      constructor(@Inject(Tenant) private readonly tenant: Tenant) {}

      @Get('cats')
      @Cached()
      list(): string {
        return this.tenant.payload.name;
      }
    }
    const server = await serve(platform, { controllers: [CatsController], providers: [Tenant] });
    for (const name of ['acme', 'globex', 'acme'])
      expect((await server.get('/cats', { 'x-tenant': name })).body).toBe(name);
  });

  it.each(['of the app', 'of the handler', 'of a parameter'])(
    'when a pipe %s that is made for each request reads it',
    async (where) => {
      @Injectable({ scope: Scope.REQUEST })
      class TenantPipe implements PipeTransform<string, string> {
        constructor(@Inject(REQUEST) private readonly request: Asked) {}

        transform(id: string): string {
          return `${this.request.headers['x-tenant']}:${id}`;
        }
      }
      @Controller()
      class CatsController {
        @Get('cats/:id')
        @Cached()
        @UsePipes(...(where === 'of the handler' ? [TenantPipe] : []))
        find(@Param('id', ...(where === 'of a parameter' ? [TenantPipe] : [])) id: string): string {
          return id;
        }
      }
      const pipe = { provide: APP_PIPE, useClass: TenantPipe, scope: Scope.REQUEST };
      const providers = where === 'of the app' ? [pipe] : [];
      const server = await serve(platform, { controllers: [CatsController], providers });
      for (const name of ['acme', 'globex', 'acme'])
        expect((await server.get('/cats/1', { 'x-tenant': name })).body).toBe(`${name}:1`);
    },
  );

  it('when an extractor of its own finds it as the version', async () => {
    let runs = 0;
    @Controller()
    class CatsController {
      @Get('cats')
      @Version(['acme', 'globex'])
      @Cached()
      list(): number {
        return ++runs;
      }
    }
    const extractor = (request: unknown): string => String((request as Asked).headers['x-tenant']);
    const server = await serve(platform, {
      controllers: [CatsController],
      configure: (app) => app.enableVersioning({ type: VersioningType.CUSTOM, extractor }),
    });
    const bodies = [];
    for (const name of ['acme', 'globex', 'acme'])
      bodies.push((await server.get('/cats', { 'x-tenant': name })).body);
    expect(bodies).toEqual(['1', '2', '1']);
  });
});

describe('An app below a path that names the tenant', () => {
  it('has the tenant in its keys on Fastify, whose prefixes are part of a route', async () => {
    const parent = new FastifyAdapter().getInstance();
    onTestFinished(() => parent.close());
    const served = new Promise<Server>((resolve, reject) => {
      const plugin = async (child: typeof parent): Promise<void> => {
        child.addHook('onRequest', (request, _reply, done) =>
          tenant.run((request.params as { tenant: string }).tenant, done),
        );
        const module = moduleOf(tenantsController());
        const adapter = new FastifyAdapter(child);
        const app = await NestFactory.create<NestFastifyApplication>(module, adapter, { logger: false });
        await app.init();
        resolve(new Server(app, []));
      };
      parent.register(plugin, { prefix: '/:tenant' }).after((error) => error && reject(error));
    });
    await parent.listen({ port: 0, host: '127.0.0.1' });
    await expectOwnCats(await served);
  });

  it.each<[string, CachedOptions]>([
    ['has it in its keys on Express', {}],
    ['has it in its keys on Express beside the option key', { key: 'all' }],
  ])('%s', async (_what, cached) => {
    const parent = expressParent();
    parent.use(findTenant);
    await expectOwnCats(await mount(parent, '/:tenant', moduleOf(tenantsController(cached))));
  });

  it('never answers with what another app beside it put into the same backend', async () => {
    const backend = new InMemoryBackend();
    @Controller()
    class CatsController {
      constructor(@Inject('TENANT') private readonly name: string) {}

      @Get('cats')
      @Cached()
      list(): string {
        return `cats of ${this.name}`;
      }
    }
    const parent = expressParent();
    const serveTenant = (name: string): Promise<Server> => {
      class TenantModule {}
      const providers = [{ provide: 'TENANT', useValue: name }];
      const imports = [CachekitModule.forRoot(backend)];
      Module({ imports, controllers: [CatsController], providers })(TenantModule);
      return mount(parent, `/${name}`, TenantModule);
    };
    await serveTenant('acme');
    const server = await serveTenant('globex');
    await expectOwnCats(server);
    expect((await server.get('/acme/cats')).cache).toMatch(/hit/);
  });
});

/** An Express app that Nest apps are mounted in. */
interface Parent {
  (request: unknown, response: unknown): void;
  use(...handlers: unknown[]): void;
}

const expressParent = (): Parent => new ExpressAdapter().getInstance<Parent>();

/** Starts a Nest app below a path of another Express app; the server is that of both. */
async function mount(parent: Parent, path: string, module: Type): Promise<Server> {
  class MountedAdapter extends ExpressAdapter {
    override initHttpServer(): void {
      parent.use(path, this.getInstance());
      this.httpServer = createServer(parent);
    }
  }
  const app = await NestFactory.create(module, new MountedAdapter(), { logger: false });
  onTestFinished(() => app.close());
  await app.listen(0, '127.0.0.1');
  return new Server(app, []);
}

describe('On Express, X-Forwarded-Host', () => {
  it.each([
    ['of a proxy that is trusted tells tenants apart', true, ['1', '2', '1']],
    ['of nobody that is trusted is no part of the key, as the app does not go by it', false, ['1', '1', '1']],
  ])('%s', async (_what, trusted, expected) => {
    let runs = 0;
    @Controller()
    class CatsController {
      @Get('cats')
      @Cached()
      list(): string {
        return String(++runs);
      }
    }
    const server = await serve('Express', {
      controllers: [CatsController],
      configure: (app) => expressOf(app).set('trust proxy', trusted),
    });
    const bodies = [];
    for (const host of ['a.example', 'b.example, a.example', 'a.example'])
      bodies.push((await server.get('/cats', { 'x-forwarded-host': host })).body);
    expect(bodies).toEqual(expected);
  });
});
