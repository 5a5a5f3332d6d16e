import type { CacheService } from '../core/cache.service.js';

/** What somebody does with the key while a load of it runs; each must win over the load. */
export const OVERTAKING: Readonly<Record<string, (by: CacheService, key: string) => Promise<unknown>>> = {
  'its key was deleted': (by, key) => by.delete(key),
  'its key was set': (by, key) => by.set(key, 'set'),
  'everything was cleared': (by) => by.clear(),
  'its key was deleted, then everything cleared': async (by, key) => {
    await by.delete(key);
    await by.clear();
  },
  'its key was set and deleted': async (by, key) => {
    await by.set(key, 'set');
    await by.delete(key);
  },
  'its key was deleted and loaded anew': async (by, key) => {
    await by.delete(key);
    await by.getOrSet(key, () => 'set');
  },
};
