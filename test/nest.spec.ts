import 'reflect-metadata';
import { readFileSync } from 'node:fs';
import { Controller, Get } from '@nestjs/common';
import { ModuleRef } from '@nestjs/core';
import { Cached, CachekitModule } from 'nestjs-cachekit';
import { describe, expect, inject, it } from 'vitest';
import { PLATFORMS, serve } from './http/serve.js';

declare module 'vitest' {
  interface ProvidedContext {
    /** The major version of Nest that the specs of a project are for. */
    nest: number;
  }
}

/** The packages of Nest that the current call came through, with the versions in their package.json. */
function nestAtWork(): Record<string, string> {
  const { stack = '' } = new Error('the current call');
  const folders = [...stack.matchAll(/\/[^\s():]*\/node_modules\/@nestjs\/[\w-]+/g)].map(
    ([folder]) => folder,
  );
  const manifests = [...new Set(folders)].map((folder) => readFileSync(`${folder}/package.json`, 'utf8'));
  return Object.fromEntries(
    manifests.map((manifest) => {
      const { name, version } = JSON.parse(manifest) as { name: string; version: string };
      return [name, version];
    }),
  );
}

@Controller()
class NestController {
  @Get()
  @Cached()
  atWork(): Record<string, string> {
    return nestAtWork();
  }
}

describe(`Nest ${inject('nest')}, as the title of the project says,`, () => {
  it.each(PLATFORMS)('is what an app on %s runs on', async (platform) => {
    const { body } = await (await serve(platform, { controllers: [NestController] })).get('/');
    const versions = JSON.parse(body) as Record<string, string>;
    expect(Object.keys(versions)).toContain('@nestjs/core');
    for (const version of Object.values(versions)) expect(version.split('.')[0]).toBe(String(inject('nest')));
  });

  it('is what the package gets: it asks for the same classes', () => {
    expect(Reflect.getMetadata('design:paramtypes', CachekitModule)).toContain(ModuleRef);
  });
});
