import { deepEqual, equal } from 'node:assert/strict';
import { CacheService } from '../core/cache.service.js';
import type { BackendUnderTest } from './describe-backend.js';
import { anyKey, gate } from './tools.js';

/** Tags and namespaces: what was invalidated is never answered again. */
export function describeTags({ backend, runner: { describe, it } }: BackendUnderTest): void {
  const cache = (): CacheService => new CacheService(backend());

  describe('tags', () => {
    it('make every entry that carries them unusable, and no other', async () => {
      const [a, b, other, tag] = [anyKey(), anyKey(), anyKey(), anyKey()];
      await cache().set(a, 'a', { tags: [tag] });
      await cache().getOrSet(b, () => 'b', { tags: [anyKey(), tag] });
      await cache().set(other, 'other', { tags: [anyKey()] });
      await cache().invalidateTags(tag);
      deepEqual(await cache().getMany([a, b, other]), [undefined, undefined, 'other']);
      equal(await cache().get(a), undefined);
      equal(await cache().has(b), false);
      equal(await cache().ttl(b), undefined);
    });

    it('may be invalidated before anything carries them', async () => {
      const [key, tag] = [anyKey(), anyKey()];
      await cache().invalidateTags(tag, anyKey());
      await cache().set(key, 'value', { tags: [tag] });
      equal(await cache().get(key), 'value');
    });

    it('are loaded anew after an invalidation, and usable again', async () => {
      const [key, tag] = [anyKey(), anyKey()];
      await cache().getOrSet(key, () => 'old', { tags: [tag] });
      await cache().invalidateTags(tag);
      equal(await cache().getOrSet(key, () => 'new', { tags: [tag] }), 'new');
      equal(await cache().getOrSet(key, () => 'newer', { tags: [tag] }), 'new');
    });

    it('invalidated while a load runs, make what it answers unusable', async () => {
      const [key, tag] = [anyKey(), anyKey()];
      const old = gate<string>();
      const pending = cache().getOrSet(key, old.load, { tags: [tag] });
      await old.reached;
      await cache().invalidateTags(tag);
      old.open('old');
      equal(await pending, 'old');
      equal(await cache().get(key), undefined);
    });

    it('keep a later caller from waiting for a load that was invalidated, in this process or another', async () => {
      for (const invalidator of ['same', 'other']) {
        const [key, tag, service] = [anyKey(), anyKey(), cache()];
        const old = gate<string>();
        const pending = service.getOrSet(key, old.load, { tags: [tag] });
        await old.reached;
        await (invalidator === 'same' ? service : cache()).invalidateTags(tag);
        equal(await service.getOrSet(key, () => 'new', { tags: [tag] }), 'new');
        old.open('old');
        equal(await pending, 'old');
      }
    });

    it('whose marker is lost cost a reload, and never revive an entry', async () => {
      const [key, tag] = [anyKey(), anyKey()];
      await cache().set(key, 'old', { tags: [tag] });
      await backend().delete([`t:${tag}`]);
      equal(await cache().get(key), undefined);
      await cache().getOrSet(anyKey(), () => 'makes a new marker', { tags: [tag] });
      equal(await cache().get(key), undefined);
    });

    it('may be any strings', async () => {
      for (const tag of ['', ' ', '*', 'x'.repeat(5_000), '\ud83d', '__proto__', 'a"],["b']) {
        const key = anyKey();
        await cache().set(key, 'value', { tags: [tag] });
        equal(await cache().get(key), 'value');
        await cache().invalidateTags(tag);
        equal(await cache().get(key), undefined);
      }
    });
  });

  describe('namespaces of a cache', () => {
    it('have their own keys', async () => {
      const [key, a, b] = [anyKey(), anyKey(), anyKey()];
      await cache().set(key, 'root');
      await cache().namespace(a).set(key, 'a');
      equal(await cache().namespace(b).get(key), undefined);
      equal(await cache().namespace(a).get(key), 'a');
      equal(await cache().get(key), 'root');
    });

    it('are cleared alone, with those inside them', async () => {
      const [key, a, b, inner] = [anyKey(), anyKey(), anyKey(), 'inner'];
      const all = [
        cache(),
        cache().namespace(a),
        cache().namespace(a).namespace(inner),
        cache().namespace(b),
      ];
      for (const [index, part] of all.entries()) await part.set(key, index);
      await cache().namespace(a).clear();
      deepEqual(await Promise.all(all.map((part) => part.get(key))), [0, undefined, undefined, 3]);
    });
  });
}
