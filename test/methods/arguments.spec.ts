import { Injectable } from '@nestjs/common';
import { Cached } from 'nestjs-cachekit';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Gate } from '../http/gate.js';
import { provide } from './start.js';

@Injectable()
class Recorder {
  runs = 0;
  @Cached()
  async record(..._args: unknown[]): Promise<number> {
    return ++this.runs;
  }
}

/** Whether a call with the one is answered by what is stored of the other. */
async function share(one: unknown[], other: unknown[]): Promise<boolean> {
  const recorder = await provide(Recorder);
  return (await recorder.record(...one)) === (await recorder.record(...other));
}

const parsed = (text: string): unknown => JSON.parse(text);
class Point {
  constructor(readonly x: number) {}
}
const time = new Date(0);

describe('Calls with arguments that only look alike are kept apart:', () => {
  it.each<[string, unknown[], unknown[]]>([
    ['a number and its text', [1], ['1']],
    ['a number and a bigint', [1], [1n]],
    ['true and its text', [true], ['true']],
    ['null and undefined', [null, 1], [undefined, 1]],
    ['null and nothing', [null], []],
    ['null and its text', [null], ['null']],
    ['0 and -0', [0], [-0]],
    ['NaN and null', [Number.NaN], [null]],
    ['NaN and its text', [Number.NaN], ['NaN']],
    ['Infinity and -Infinity', [Infinity], [-Infinity]],
    ['a Date and its text', [time], [time.toISOString()]],
    ['a Date and its number', [time], [time.getTime()]],
    ['a Date and the text of its key', [time], ['Date(0)']],
    ['two Dates', [time], [new Date(1)]],
    ['two arguments and an array of them', ['a', 'b'], [['a', 'b']]],
    ['arguments cut at different places', ['a', 'bc'], ['ab', 'c']],
    ['a text with a separator and two texts', ['a","b'], ['a', 'b']],
    ['an order of arguments and another', ['a', 'b'], ['b', 'a']],
    ['an empty array and an empty object', [[]], [{}]],
    ['an array and an object with its indexes', [['a']], [{ 0: 'a' }]],
    ['a property that is undefined and one that is missing', [{ a: undefined }], [{}]],
    ['a property that is null and one that is undefined', [{ a: null }], [{ a: undefined }]],
    ['a Map and an object', [new Map([['a', 1]])], [{ a: 1 }]],
    ['a Map and an array', [new Map([['a', 1]])], [[['a', 1]]]],
    ['two Maps', [new Map([['a', 1]])], [new Map([['a', 2]])]],
    ['the keys 1 and "1" of Maps', [new Map([[1, 1]])], [new Map([['1', 1]])]],
    ['a Set and an array', [new Set(['a'])], [['a']]],
    ['an own __proto__ and none', [parsed('{"__proto__":{"admin":true}}')], [{}]],
    ['an own __proto__ and the property in it', [parsed('{"__proto__":{"a":1}}')], [{ a: 1 }]],
    ['lone surrogates', ['\ud800'], ['\ud801']],
  ])('%s', async (_what, one, other) => {
    expect(await share(one, other)).toBe(false);
    expect(await share(one, one)).toBe(true);
    expect(await share(other, other)).toBe(true);
  });

  it('of any two JSON values those that are equal share, and no others', async () => {
    const recorder = await provide(Recorder);
    await fc.assert(
      fc.asyncProperty(fc.jsonValue(), fc.jsonValue(), async (one, other) => {
        const alike = (await recorder.record(one)) === (await recorder.record(other));
        expect(alike).toBe(sorted(one) === sorted(other));
      }),
    );
  });
});

/** JSON text with sorted names, in which -0 differs from 0. */
function sorted(value: unknown): string {
  if (Object.is(value, -0)) return '-0';
  if (Array.isArray(value)) return `[${value.map(sorted).join()}]`;
  if (typeof value !== 'object' || value === null) return JSON.stringify(value);
  const entries = Object.entries(value).toSorted(([one], [other]) => (one < other ? -1 : 1));
  return `{${entries.map(([name, item]) => `${JSON.stringify(name)}:${sorted(item)}`).join()}}`;
}

describe('Calls share an answer', () => {
  it.each<[string, unknown[], unknown[]]>([
    ['if their objects have the same properties in another order', [{ a: 1, b: 2 }], [{ b: 2, a: 1 }]],
    ['if arguments at the end are undefined or missing', ['a', undefined], ['a']],
    ['if they have equal Dates', [new Date(5)], [new Date(5)]],
    ['if both have invalid Dates', [new Date(Number.NaN)], [new Date(Number.NaN)]],
    ['if an object has no prototype', [Object.assign(Object.create(null), { a: 1 })], [{ a: 1 }]],
  ])('%s', async (_what, one, other) => {
    expect(await share(one, other)).toBe(true);
  });
});

describe('A call is not cached, with a warning that names no value, if an argument is', () => {
  const cycle: Record<string, unknown> = {};
  cycle['itself'] = cycle;
  // 2 to the 60th parts, in 60 objects.
  let endless: unknown = {};
  for (let depth = 0; depth < 60; depth++) endless = [endless, endless];

  it.each<[string, unknown]>([
    ['an instance of a class', new Point(1)],
    ['an object that holds one', { at: new Point(1) }],
    ['a function', () => 1],
    ['a class', Point],
    ['a symbol', Symbol('secret')],
    ['an array of a class of its own', new (class Points extends Array {})()],
    ['an array with more than items', Object.assign([1], { total: 1 })],
    // Holes and undefined would look alike.
    ['an array with holes', Object.assign([], { length: 2 })],
    ['a Date of a class of its own', new (class Day extends Date {})()],
    ['a Map with a property', Object.assign(new Map(), { tenant: 1 })],
    ['an object with a hidden property', Object.defineProperty({}, 'tenant', { value: 1 })],
    ['an object with a symbol', { [Symbol('tenant')]: 1 }],
    ['an object with another prototype', Object.create({ tenant: 1 }) as unknown],
    ['a Proxy', new Proxy({}, {})],
    ['a Buffer', Buffer.from('a')],
    ['a promise', Promise.resolve(1)],
    ['a cycle', cycle],
    ['an endless graph', endless],
  ])('%s', async (_what, argument) => {
    const warnings: string[] = [];
    const recorder = await provide(fresh(), warnings);
    expect([await recorder.record(argument), await recorder.record(argument)]).toEqual([1, 2]);
    expect(warnings).toHaveLength(1);
    expect(warnings[0]).toMatch(/Recorder\d+\.record: a call was not cached.*key: \(\{ args \}\)/);
    expect(warnings[0]).not.toContain('secret');
  });
});

let classes = 0;

/** A class with a name of its own, since each warning comes once. */
function fresh(): typeof Recorder {
  const name = `Recorder${++classes}`;
  const made = {
    [name]: class {
      runs = 0;
      async record(..._args: unknown[]): Promise<number> {
        return ++this.runs;
      }
    },
  }[name] as typeof Recorder;
  const descriptor = Object.getOwnPropertyDescriptor(made.prototype, 'record') as PropertyDescriptor;
  Cached()(made.prototype, 'record', descriptor);
  return made;
}

@Injectable()
class Accounts {
  runs = 0;
  @Cached({ key: 'mine' })
  async mine(_context: unknown): Promise<number> {
    return ++this.runs;
  }
  @Cached({ key: 'shared', scope: 'public' })
  async shared(_context: unknown): Promise<number> {
    return ++this.runs;
  }
}

describe('Arguments are not to be trusted:', () => {
  it('two users through one method do not see each other', async () => {
    @Injectable()
    class Balances {
      @Cached({ scope: 'public' })
      async balance(user: { id: number }): Promise<string> {
        return `balance of ${user.id}`;
      }
    }
    class User {
      readonly #secret = 1;
      constructor(readonly id: number) {
        void this.#secret;
      }
    }
    const accounts = await provide(Balances);
    expect(await accounts.balance({ id: 1 })).toBe('balance of 1');
    expect(await accounts.balance({ id: 2 })).toBe('balance of 2');
    expect(await accounts.balance(new User(3))).toBe('balance of 3');
    expect(await accounts.balance(new User(4))).toBe('balance of 4');
  });

  it.each<[string, (request: object) => unknown, number[]]>([
    ['a request', (request) => request, [4, 4]],
    // Who asks may stand elsewhere in a context, so not even a visitor's is trusted.
    ['a context of Apollo', (req) => ({ req }), [4, 5]],
    ['a context of mercurius', (request) => ({ reply: { request } }), [4, 5]],
  ])(
    'with a key, %s among them that says who asks keeps the call out of the cache',
    async (what, wrap, runs) => {
      for (const said of [{ headers: { authorization: 'Bearer a' } }, { headers: {}, user: { id: 1 } }]) {
        const accounts = await provide(Accounts);
        const argument = wrap(said);
        expect([await accounts.mine(argument), await accounts.mine(argument)], what).toEqual([1, 2]);
        expect([await accounts.shared(argument), await accounts.shared(argument)]).toEqual([3, 3]);
        const anonymous = wrap({ headers: {} });
        expect([await accounts.mine(anonymous), await accounts.mine(anonymous)], what).toEqual(runs);
      }
    },
  );

  it('an own __proto__ changes no prototype', async () => {
    const recorder = await provide(Recorder);
    await recorder.record(parsed('{"__proto__":{"admin":true},"constructor":{"prototype":{"admin":true}}}'));
    expect(({} as { admin?: boolean }).admin).toBeUndefined();
  });

  it('an object that its owner changes while the cache is read is stored under no key', async () => {
    @Injectable()
    class Lists {
      runs: number[] = [];
      @Cached()
      async page(filter: { page: number }): Promise<number> {
        this.runs.push(filter.page);
        return filter.page;
      }
    }
    const lists = await provide(Lists);
    const filter = { page: 1 };
    const first = lists.page(filter);
    filter.page = 2;
    await first;
    expect(await lists.page({ page: 1 })).toBe(1);
    expect(await lists.page({ page: 2 })).toBe(2);
  });

  it('a call that can not be cached waits for no other', async () => {
    const gate = new Gate();
    @Injectable()
    class Waiting {
      @Cached()
      async wait(point: Point): Promise<number> {
        if (point.x === 1) await gate.opened;
        return point.x;
      }
    }
    const waiting = await provide(Waiting);
    const first = waiting.wait(new Point(1));
    expect(await waiting.wait(new Point(2))).toBe(2);
    gate.open();
    expect(await first).toBe(1);
  });
});
