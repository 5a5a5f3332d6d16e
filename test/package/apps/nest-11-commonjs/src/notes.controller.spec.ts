import { INestApplication } from '@nestjs/common';
import { Test, TestingModule } from '@nestjs/testing';
import { CachekitModule, CacheService } from 'nestjs-cachekit';
import { NotesController } from './notes.controller';

describe('NotesController', () => {
  let app: INestApplication;
  let url: string;

  beforeEach(async () => {
    const module: TestingModule = await Test.createTestingModule({
      imports: [CachekitModule.forRoot()],
      controllers: [NotesController],
    }).compile();
    app = module.createNestApplication();
    await app.listen(0, '127.0.0.1');
    url = await app.getUrl();
  });

  afterEach(() => app.close());

  it('answers the second request from the cache', async () => {
    await fetch(`${url}/notes/1`);
    const second = await fetch(`${url}/notes/1`);

    expect(second.headers.get('cache-status')).toMatch(/^cachekit; hit/);
    expect(await second.json()).toEqual({ id: '1', runs: 1 });
  });

  it('keeps the kinds of values', async () => {
    const value = { at: new Date(0), seen: new Set([1n]), by: new Map([['id', Buffer.from('é')]]) };
    const cache = app.get(CacheService);
    await cache.set('kinds', value);

    expect(await cache.get('kinds')).toEqual(value);
  });
});
