/** The process of a Nest app that is measured over HTTP: `app.process.js <express | fastify> <kind>`. */
import 'reflect-metadata';
import type { NestApplicationOptions } from '@nestjs/common';
import { CacheInterceptor, CacheModule } from '@nestjs/cache-manager';
import {
  type CallHandler,
  Controller,
  type ExecutionContext,
  Get,
  Injectable,
  Module,
  type NestInterceptor,
  Param,
  type Type,
  UseInterceptors,
} from '@nestjs/common';
import { HttpAdapterHost, NestFactory } from '@nestjs/core';
import { FastifyAdapter } from '@nestjs/platform-fastify';
import { Cached, CachekitModule } from 'nestjs-cachekit';
import { type Observable, of } from 'rxjs';
import { answerQuestions } from '../measure/answer-questions.js';
import { TTL_MS } from '../measure/get-or-set.js';
import { type Item, itemsOf, SIZES } from '../measure/payload.js';
import type { Question } from './app.js';

const ITEMS = SIZES.map((size) => itemsOf(size)(1));
const TEXTS = ITEMS.map((item) => JSON.stringify(item));
let runs = 0;
let constantHeaders: Readonly<Record<string, string>> = {};

function item(index: string): Item | undefined {
  runs++;
  return ITEMS[Number(index)];
}

async function slow(): Promise<Item | undefined> {
  runs++;
  await new Promise((resolve) => {
    setTimeout(resolve, 200);
  });
  return ITEMS[0];
}

/** No cache at all. */
@Controller()
class UncachedController {
  @Get('items/:index')
  find(@Param('index') index: string): Item | undefined {
    return item(index);
  }
}

@Controller()
class CachekitController {
  @Cached('1h')
  @Get('items/:index')
  find(@Param('index') index: string): Item | undefined {
    return item(index);
  }

  @Cached('1h')
  @Get('slow')
  slow(): Promise<Item | undefined> {
    return slow();
  }

  @Get('uncached/:index')
  uncached(@Param('index') index: string): Item | undefined {
    return item(index);
  }
}

@UseInterceptors(CacheInterceptor)
@Controller()
class CacheManagerController {
  @Get('items/:index')
  find(@Param('index') index: string): Item | undefined {
    return item(index);
  }

  @Get('slow')
  slow(): Promise<Item | undefined> {
    return slow();
  }
}

/** What a cache can't be faster than: it knows the answer, and sends the headers of a hit with it. */
@Injectable()
class ConstantInterceptor implements NestInterceptor {
  constructor(private readonly host: HttpAdapterHost) {}

  intercept(context: ExecutionContext, _next: CallHandler): Observable<unknown> {
    const http = context.switchToHttp();
    const response: unknown = http.getResponse();
    for (const name in constantHeaders)
      this.host.httpAdapter.setHeader(response, name, constantHeaders[name] ?? '');
    const { params } = http.getRequest<{ params: { index: string } }>();
    return of(TEXTS[Number(params.index)]);
  }
}

@UseInterceptors(ConstantInterceptor)
@Controller()
class ConstantController {
  @Get('items/:index')
  find(@Param('index') index: string): Item | undefined {
    return item(index);
  }
}

@Module({ controllers: [UncachedController] })
class UncachedModule {}

@Module({ imports: [CachekitModule.forRoot()], controllers: [CachekitController] })
class CachekitAppModule {}

@Module({ imports: [CacheModule.register({ ttl: TTL_MS })], controllers: [CacheManagerController] })
class CacheManagerModule {}

@Module({ controllers: [ConstantController] })
class ConstantModule {}

const MODULES: Readonly<Record<string, Type>> = {
  uncached: UncachedModule,
  cachekit: CachekitAppModule,
  'cache-manager': CacheManagerModule,
  constant: ConstantModule,
};

const [adapter, kind = ''] = process.argv.slice(2);
const module = MODULES[kind];
if (module === undefined) throw new Error(`There is no app ${kind}.`);
const options: NestApplicationOptions = { logger: ['fatal', 'error', 'warn'] };
const app =
  adapter === 'fastify'
    ? await NestFactory.create(module, new FastifyAdapter(), options)
    : await NestFactory.create(module, options);
await app.listen(0, '127.0.0.1');
const url = await app.getUrl();

answerQuestions<Question>(async (question) => {
  if (question === 'url') return url;
  if (question === 'runs') return runs;
  constantHeaders = question.headers;
  return undefined;
});
