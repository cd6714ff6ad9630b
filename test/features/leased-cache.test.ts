import { describe, expect, it } from 'vitest';
import { LeasedCache } from '../../src/features/leased-cache.ts';

interface Thing {
  readonly name: string;
  open: boolean;
}

function cacheOf(maxBytes: number, bytes = 10) {
  const closed: string[] = [];
  const cache = new LeasedCache<Thing>({
    maxBytes,
    sizeOf: () => bytes,
    close: (thing) => {
      expect(thing.open).toBe(true);
      thing.open = false;
      closed.push(thing.name);
    },
  });
  return { cache, closed };
}
const make = (name: string) => async (): Promise<Thing> => ({ name, open: true });
/** A load that ends when `finish` gives its value. */
function slowLoad() {
  let resolve = (_: Thing) => {};
  return {
    load: () =>
      new Promise<Thing>((settle) => {
        resolve = settle;
      }),
    finish: (thing: Thing) => resolve(thing),
  };
}

describe('a cache of leases', () => {
  it('loads once for callers at the same time and again for none', async () => {
    const { cache } = cacheOf(100);
    let loads = 0;
    const load = async () => {
      loads++;
      return { name: 'a', open: true };
    };
    const [first, second] = await Promise.all([cache.lease('a', load), cache.lease('a', load)]);
    const third = await cache.lease('a', load);
    expect(loads).toBe(1);
    expect(first.value).toBe(second.value);
    expect(third.value).toBe(first.value);
  });

  it('closes what it drops only when the last lease is released', async () => {
    const { cache, closed } = cacheOf(15);
    const a = await cache.lease('a', make('a'));
    const again = await cache.lease('a', make('a'));
    (await cache.lease('b', make('b'))).release(); // room for one: a is dropped
    a.release();
    a.release();
    expect(closed).toEqual([]);
    again.release();
    expect(closed).toEqual(['a']);
  });

  it('hands out values too large to keep, to every caller, and closes them once', async () => {
    const { cache, closed } = cacheOf(5);
    const use = async (ticks: number) => {
      const lease = await cache.lease('a', make('a'));
      expect(lease.value.open).toBe(true);
      for (let i = 0; i < ticks; i++) await null;
      expect(lease.value.open).toBe(true);
      lease.release();
    };
    await Promise.all([use(0), use(5), use(1)]);
    await null;
    expect(closed).toEqual(['a']);
    expect(cache.bytes).toBe(0);
  });

  it('keeps a value too large to keep open until callers that take longer to hear of it have it', async () => {
    const { cache, closed } = cacheOf(5);
    const use = async (signal?: AbortSignal) => {
      const lease = await cache.lease('a', make('a'), signal);
      expect(lease.value.open).toBe(true);
      lease.release();
    };
    await Promise.all([use(), use(new AbortController().signal)]);
    await null;
    expect(closed).toEqual(['a']);
  });

  it('keeps a value open that another, loaded at the same time, has taken the room of', async () => {
    const { cache, closed } = cacheOf(15);
    const leases = await Promise.all(['a', 'b'].map((name) => cache.lease(name, make(name))));
    expect(leases.map(({ value }) => value.open)).toEqual([true, true]);
    for (const lease of leases) lease.release();
    expect(closed).toEqual(['a']);
  });

  it('drops what has not been used for longest', async () => {
    const { cache, closed } = cacheOf(20);
    const use = async (name: string) => (await cache.lease(name, make(name))).release();
    for (const name of ['a', 'b', 'a', 'c']) await use(name);
    expect(closed).toEqual(['b']);
    await use('d');
    expect(closed).toEqual(['b', 'a']);
    expect(cache.bytes).toBe(20);
  });

  it('closes what arrives after it was closed itself, once nobody uses it', async () => {
    const { cache, closed } = cacheOf(100);
    const { load, finish } = slowLoad();
    const leasing = cache.lease('a', load);
    cache.close();
    finish({ name: 'late', open: true });
    const lease = await leasing;
    expect(cache.bytes).toBe(0);
    expect(lease.value.open).toBe(true);
    lease.release();
    expect(closed).toEqual(['late']);
  });

  it('forgets a failed load', async () => {
    const { cache } = cacheOf(100);
    const failing = async () => {
      throw new Error('no');
    };
    await expect(cache.lease('a', failing)).rejects.toThrow('no');
    expect((await cache.lease('a', make('a'))).value.name).toBe('a');
  });

  it('abandons the load when every caller has given up, and not before', async () => {
    const { cache } = cacheOf(100);
    let stopped = false;
    const load = (signal: AbortSignal) =>
      new Promise<Thing>((_, reject) =>
        signal.addEventListener('abort', () => {
          stopped = true;
          reject(signal.reason);
        }),
      );
    const first = new AbortController();
    const second = new AbortController();
    const a = cache.lease('a', load, first.signal);
    const b = cache.lease('a', load, second.signal);
    first.abort(new Error('gone'));
    await expect(a).rejects.toThrow('gone');
    expect(stopped).toBe(false);
    second.abort(new Error('gone too'));
    await expect(b).rejects.toThrow('gone too');
    expect(stopped).toBe(true);
    expect((await cache.lease('a', make('fresh'))).value.name).toBe('fresh');
  });

  it('ends loads with the reason that it is closed for', async () => {
    const { cache } = cacheOf(100);
    const load = (signal: AbortSignal) =>
      new Promise<Thing>((_, reject) => signal.addEventListener('abort', () => reject(signal.reason)));
    const waiting = cache.lease('a', load);
    cache.close(new Error('the shop closes'));
    await expect(waiting).rejects.toThrow('the shop closes');
  });

  it('closes a value that arrives after everybody left', async () => {
    const { cache, closed } = cacheOf(5);
    const controller = new AbortController();
    const { load, finish } = slowLoad();
    const lease = cache.lease('a', load, controller.signal);
    controller.abort(new Error('gone'));
    await expect(lease).rejects.toThrow('gone');
    finish({ name: 'late', open: true });
    await new Promise((resolve) => setTimeout(resolve, 5));
    expect(closed).toEqual(['late']);
  });

  it('loads anew for a caller who asks again at once, while others have yet to hear that a load failed', async () => {
    const { cache } = cacheOf(100);
    const failing = async () => {
      throw new Error('no');
    };
    const first = cache.lease('a', failing).catch(() => cache.lease('a', make('again')));
    const others = [1, 2].map(() => cache.lease('a', failing, new AbortController().signal));
    expect((await first).value.name).toBe('again');
    for (const other of await Promise.allSettled(others)) expect(other.status).toBe('rejected');
  });

  it('loads anew for who comes after everybody has given up, though that load is slow to stop, and keeps one value', async () => {
    const { cache, closed } = cacheOf(100);
    const { load, finish } = slowLoad();
    const controller = new AbortController();
    const gone = cache.lease('a', load, controller.signal);
    controller.abort(new Error('gone'));
    await expect(gone).rejects.toThrow('gone');
    (await cache.lease('a', make('fresh'))).release();
    finish({ name: 'late', open: true });
    await expect.poll(() => closed).toEqual(['fresh']);
    expect(cache.bytes).toBe(10);
  });

  it('shares a load that began after everybody gave another up, though that ends later', async () => {
    const { cache } = cacheOf(5);
    const [slow, fresh] = [slowLoad(), slowLoad()];
    const controller = new AbortController();
    const gone = cache.lease('a', slow.load, controller.signal);
    controller.abort(new Error('gone'));
    await expect(gone).rejects.toThrow('gone');
    const first = cache.lease('a', fresh.load);
    slow.finish({ name: 'late', open: true });
    await new Promise(setImmediate);
    const second = cache.lease('a', make('third'));
    fresh.finish({ name: 'fresh', open: true });
    for (const lease of await Promise.all([first, second])) expect(lease.value.name).toBe('fresh');
  });

  it('shares a load that began while others have yet to hear of the one before', async () => {
    const { cache } = cacheOf(5);
    let loads = 0;
    const load = async () => ({ name: `${++loads}`, open: true });
    const again = cache.lease('a', load).then(() => cache.lease('a', load));
    await cache.lease('a', load, new AbortController().signal);
    const [second, third] = await Promise.all([again, cache.lease('a', load)]);
    expect([second.value.name, third.value.name]).toEqual(['2', '2']);
  });

  it('stops a load for the reason of the last who wanted it, and none that has ended', async () => {
    const { cache } = cacheOf(100);
    const signals: AbortSignal[] = [];
    const load = (signal: AbortSignal) => {
      signals.push(signal);
      return make('a')();
    };
    await cache.lease('a', load);
    expect(signals[0]!.aborted).toBe(false);
    const controller = new AbortController();
    const never = (signal: AbortSignal) => {
      signals.push(signal);
      return new Promise<Thing>(() => {});
    };
    const waiting = cache.lease('b', never, controller.signal);
    controller.abort('enough');
    await expect(waiting).rejects.toBe('enough');
    expect(signals[1]!.reason).toBe('enough');
    await expect(cache.lease('a', load, controller.signal)).rejects.toBe('enough');
  });

  it('counts hits and misses, and tells what it has or expects', async () => {
    const { cache } = cacheOf(100);
    const waiting = cache.lease('a', make('a'));
    expect([cache.has('a'), cache.has('b')]).toEqual([true, false]);
    await waiting;
    await cache.lease('a', make('a'));
    expect([cache.hits, cache.misses, cache.has('a')]).toEqual([1, 1, true]);
  });

  it('keeps a value of just its size, and counts one of no size as a byte', async () => {
    const just = cacheOf(10);
    (await just.cache.lease('a', make('a'))).release();
    expect(just.cache.bytes).toBe(10);
    const { cache, closed } = cacheOf(2, 0);
    for (const name of ['a', 'b', 'c']) (await cache.lease(name, make(name))).release();
    expect(closed).toEqual(['a']);
    cache.close();
    expect(closed).toEqual(['a', 'b', 'c']);
  });
});
