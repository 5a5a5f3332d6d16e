import type { INestApplication, Type } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { type CacheBackend, getBackendToken } from 'nestjs-cachekit';
import { patient } from '../remote-backends.js';

/**
 * A sample that listens on a free port, as `npm start` makes it, without its greeting, and with more patience: whether
 * it answers from the cache is not to depend on how busy the machine is.
 */
export interface RunningSample {
  readonly app: INestApplication;
  get(path: string): Promise<Response>;
  patch(path: string, body: object): Promise<Response>;
}

export async function startSample(module: Type): Promise<RunningSample> {
  const app = await NestFactory.create(module, { logger: false });
  patient(app.get<CacheBackend>(getBackendToken()));
  await app.listen(0);
  const url = await app.getUrl();
  return {
    app,
    get: (path) => fetch(url + path),
    patch: (path, body) =>
      fetch(url + path, {
        method: 'PATCH',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify(body),
      }),
  };
}

/** A search that nobody made before, so that no other test has cached its answer. */
export function newSearch(name: string): string {
  const latitude = (Math.random() * 180 - 90).toFixed(6);
  const longitude = (Math.random() * 360 - 180).toFixed(6);
  return `/places?name=${encodeURIComponent(name)}&near=${latitude},${longitude}`;
}
