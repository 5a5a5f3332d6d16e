import { CacheService } from 'nestjs-cachekit';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { AppModule } from '../../sample/01-quickstart/app.module.js';
import { newSearch, startSample, type RunningSample } from './start-sample.js';

const BERLIN = 2950159;

describe('sample 01-quickstart', () => {
  let sample: RunningSample;

  beforeAll(async () => {
    sample = await startSample(AppModule);
  });

  afterAll(() => sample.app.close());

  it('answers the second request from the cache', async () => {
    const path = newSearch('Hamburg');
    const first = await sample.get(path);
    const second = await sample.get(path);

    expect(first.headers.get('cache-status')).toMatch(/^cachekit; fwd=uri-miss; stored/);
    expect(second.headers.get('cache-status')).toMatch(/^cachekit; hit; ttl=\d+$/);
    expect(await second.json()).toEqual(await first.json());
  });

  it.each([
    ['springfeild', '39.8,-89.6', 'Springfield'],
    ['sao paolo', '-23.5,-46.6', 'São Paulo'],
    ['MÜNCHEN', '48.14,11.58', 'Garching bei München'],
  ])('finds %s near %s: %s', async (name, near, expected) => {
    const response = await sample.get(`/places?name=${encodeURIComponent(name)}&near=${near}`);

    expect(await response.json()).toMatchObject({ 0: { name: expected } });
  });

  it('lists the places of one name by distance', async () => {
    const response = await sample.get('/places?name=paris&near=48.85,2.35');
    const places = (await response.json()) as { name: string; km: number }[];
    const called = places.filter(({ name }) => name === 'Paris').map(({ km }) => km);

    expect(called.length).toBeGreaterThan(1);
    expect(called).toEqual(called.toSorted((a, b) => a - b));
  });

  it('searches anew after a correction', async () => {
    const path = '/places?name=berlin&near=52.5,13.4';
    await sample.get(path);
    const corrected = await sample.patch(`/places/${BERLIN}`, { population: 3_677_472 });
    const after = await sample.get(path);

    expect(corrected.status).toBe(200);
    expect(after.headers.get('cache-status')).toMatch(/fwd=uri-miss/);
    expect(await after.json()).toMatchObject({ 0: { id: BERLIN, name: 'Berlin', population: 3_677_472 } });
  });

  it('finds a place by its corrected name', async () => {
    const path = '/places?name=elbflorenz&near=51.05,13.74';
    await sample.get(path);
    await sample.patch('/places/2935022', { name: 'Elbflorenz' });
    const after = await sample.get(path);

    expect(await after.json()).toMatchObject({ 0: { id: 2935022, name: 'Elbflorenz' } });
  });

  it('keeps what is cached when a correction is refused', async () => {
    const path = newSearch('Lyon');
    await sample.get(path);
    const refused = await sample.patch(`/places/${BERLIN}`, { population: -1 });
    const after = await sample.get(path);

    expect(refused.status).toBe(400);
    expect(after.headers.get('cache-status')).toMatch(/^cachekit; hit/);
  });

  it('keeps the statistics of a country in the cache until a place is corrected', async () => {
    const cache = sample.app.get(CacheService);
    const response = await sample.get('/countries/is');
    const cached = await cache.get('country:IS');
    await sample.patch(`/places/${BERLIN}`, { population: 3_700_000 });

    expect(cached).toMatchObject({ code: 'IS', largest: { name: 'Reykjavík' } });
    expect(await response.json()).toEqual(cached);
    expect(await cache.get('country:IS')).toBeUndefined();
  });

  it.each([
    ['/places', 'near must be a latitude and a longitude'],
    ['/places?name=rome', 'near must be a latitude and a longitude'],
    ['/places?name=rome&near=91,0', 'near must be a latitude and a longitude'],
    ['/places?name=rome&near=0,180.5', 'near must be a latitude and a longitude'],
    ['/places?name=rome&near=41.9', 'near must be a latitude and a longitude'],
    ['/places?name=rome&near=1,1&near=2,2', 'near must be a latitude and a longitude'],
    ['/places?near=1,1', 'name must be one text of 2 to 60 characters'],
    ['/places?name=r&near=1,1', 'name must be one text of 2 to 60 characters'],
    [`/places?name=${'r'.repeat(61)}&near=1,1`, 'name must be one text of 2 to 60 characters'],
    ['/places?name=rome&name=oslo&near=1,1', 'name must be one text of 2 to 60 characters'],
    ['/places?name=---&near=1,1', 'name must have a letter in it'],
    ['/places?name=rome&near=1,1&limit=3', 'property limit should not exist'],
    ['/places/berlin', 'numeric string is expected'],
    ['/countries/DEU', 'code must be the two letters of a country'],
  ])('refuses GET %s each time: %s', async (path, reason) => {
    await sample.get(path);
    const response = await sample.get(path);

    expect(response.status).toBe(400);
    expect(await response.text()).toContain(reason);
  });

  it.each([
    [{}, 'Send a name, a population, or both.'],
    [{ population: null }, 'population must be an integer number'],
    [{ population: 1.5 }, 'population must be an integer number'],
    [{ population: '5' }, 'population must be an integer number'],
    [{ name: 5 }, 'name must be one text of 2 to 60 characters'],
    [{ country: 'DE' }, 'property country should not exist'],
  ])('refuses the correction %j: %s', async (correction, reason) => {
    const response = await sample.patch(`/places/${BERLIN}`, correction);

    expect(response.status).toBe(400);
    expect(await response.text()).toContain(reason);
  });

  it('knows no place and no country of a wrong name', async () => {
    const answers = await Promise.all([
      sample.get('/places/1'),
      sample.patch('/places/1', { population: 1 }),
      sample.get('/countries/ZZ'),
    ]);

    expect(answers.map(({ status }) => status)).toEqual([404, 404, 404]);
  });
});
