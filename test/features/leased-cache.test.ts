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
    let finish = (_: Thing) => {};
    const leasing = cache.lease('a', () => new Promise<Thing>((resolve) => (finish = resolve)));
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
    let finish = (_: Thing) => {};
    const lease = cache.lease(
      'a',
      () => new Promise<Thing>((resolve) => (finish = resolve)),
      controller.signal,
    );
    controller.abort(new Error('gone'));
    await expect(lease).rejects.toThrow('gone');
    finish({ name: 'late', open: true });
    await new Promise((resolve) => setTimeout(resolve, 5));
    expect(closed).toEqual(['late']);
  });
});
