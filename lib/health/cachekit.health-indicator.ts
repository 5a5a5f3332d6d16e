import { Inject, Injectable } from '@nestjs/common';
import { ModuleRef } from '@nestjs/core';
import { CacheService } from '../core/cache.service.js';
import { CachekitConfigError, messageOf } from '../core/errors.js';
import { checkOptionNames } from '../core/option-names.js';
import { getCacheToken } from '../core/tokens.js';

/** How a cache is doing. */
export interface CacheHealth {
  readonly status: 'up' | 'down';
  /** The class of its backend. */
  readonly backend: string;
  /** Why it is down; absent when it is up. It names the server, and holds no password. */
  readonly message?: string;
  /** Invalidations of this process that could not be written yet, `all` for a whole `clear`; absent for none. */
  readonly pendingInvalidations?: number | 'all';
}

/** Which cache to look at. */
export interface CacheHealthOptions {
  /** Its name. Default: the unnamed cache. */
  readonly cache?: string;
}

/**
 * Tells whether a cache works, in the shape that @nestjs/terminus takes (version 11 or newer):
 *
 * ```ts
 * this.health.check([() => this.cacheHealth.isHealthy('cache')]);
 * ```
 *
 * An app goes on while its cache is down. So let this be seen and alarm somebody, but don't let it decide whether the app is
 * restarted, or gets no more requests.
 */
@Injectable()
export class CachekitHealthIndicator {
  constructor(@Inject(ModuleRef) private readonly moduleRef: ModuleRef) {}

  /**
   * Writes and reads an entry of its own. Takes at most as long as the backend's deadlines.
   *
   * @param key the name in the answer. Default: `cache`
   * @throws CachekitConfigError if the app has no such cache
   */
  async isHealthy<Key extends string = 'cache'>(
    key: Key = 'cache' as Key,
    options: CacheHealthOptions = {},
  ): Promise<Record<Key, CacheHealth>> {
    checkOptionNames(options, ['cache'], 'CachekitHealthIndicator.isHealthy');
    const { engine } = this.cacheNamed(options.cache);
    const problem = await problemOf(() => engine.probe());
    const { pendingInvalidations: pending } = engine.stats();
    const health: CacheHealth = {
      status: problem === undefined ? 'up' : 'down',
      backend: engine.backendName,
      ...(problem !== undefined && { message: problem }),
      ...(pending > 0 && { pendingInvalidations: pending === Infinity ? 'all' : pending }),
    };
    return { [key]: health } as Record<Key, CacheHealth>;
  }

  private cacheNamed(name: string | undefined): CacheService {
    try {
      const cache: unknown = this.moduleRef.get(getCacheToken(name), { strict: false });
      if (cache instanceof CacheService) return cache;
    } catch (cause) {
      throw noSuchCache(name, cause);
    }
    throw noSuchCache(name);
  }
}

async function problemOf(probe: () => Promise<void>): Promise<string | undefined> {
  try {
    await probe();
    return undefined;
  } catch (error) {
    return messageOf(error);
  }
}

function noSuchCache(name: string | undefined, cause?: unknown): CachekitConfigError {
  const which = name === undefined ? 'no unnamed cache' : `no cache named "${name}"`;
  return new CachekitConfigError(
    `CachekitHealthIndicator: this app has ${which}. Import CachekitModule.forRoot(...), with that name if it has one.`,
    cause === undefined ? {} : { cause },
  );
}
