import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdir, readdir, readFile, rename, rm, stat, symlink, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { openDiskStore } from '../../../src/server/stores/disk-store.ts';
import { openRedisStore } from '../../../src/server/stores/redis-store.ts';
import { sealTile, unsealTile } from '../../../src/server/stores/tile-store.ts';
import { afterThisFile } from '../../after-file.ts';
import { ended, freePort, installed, startRedis } from '../redis-server.ts';
import { directoryOf, eventually } from '../server-fixture.ts';

const keyOf = (name: string) => createHash('sha256').update(name).digest('hex');
const tile = Buffer.alloc(1000, 7);

/** Whether Redis has an image, whoever asks. */
async function storedIn(port: number, key: string): Promise<boolean> {
  const { createClient } = await import('redis');
  const client = createClient({ url: `redis://127.0.0.1:${port}` });
  await client.connect();
  const found = await client.exists(`liif:1:${key}`);
  client.destroy();
  return found === 1;
}

async function tilesIn(directory: string): Promise<string[]> {
  const entries = await readdir(directory, { recursive: true });
  return entries.filter((name) => name.endsWith('.tile'));
}

describe('a sealed tile', () => {
  it('opens under its key, and under no other, and not when a bit has changed', () => {
    const sealed = sealTile('a', tile);
    expect(unsealTile('a', sealed)?.equals(tile)).toBe(true);
    expect(unsealTile('b', sealed)).toBeUndefined();
    for (const at of [0, 5, sealed.length - 1]) {
      const changed = Buffer.from(sealed);
      changed[at]! ^= 1;
      expect(unsealTile('a', changed)).toBeUndefined();
    }
    expect(unsealTile('a', sealed.subarray(0, 10))).toBeUndefined();
  });
});

describe('tiles on disk', () => {
  it('are found again, also by the next process', async () => {
    const directory = await directoryOf();
    const store = await openDiskStore({ directory, maxBytes: 1e6 });
    await store.put(keyOf('a'), tile);
    expect((await store.get(keyOf('a')))?.equals(tile)).toBe(true);
    expect(await store.get(keyOf('b'))).toBeUndefined();
    const next = await openDiskStore({ directory, maxBytes: 1e6 });
    expect((await next.get(keyOf('a')))?.equals(tile)).toBe(true);
    expect((await readdir(directory, { recursive: true })).some((name) => name.includes('writing'))).toBe(
      false,
    );
  });

  it('that are damaged are told, removed and not given', async () => {
    const directory = await directoryOf();
    let corrupt = 0;
    const store = await openDiskStore({ directory, maxBytes: 1e6, onCorrupt: () => corrupt++ });
    await store.put(keyOf('a'), tile);
    const [name] = await tilesIn(directory);
    const bytes = await readFile(join(directory, name!));
    bytes[100]! ^= 1;
    await writeFile(join(directory, name!), bytes);
    expect(await store.get(keyOf('a'))).toBeUndefined();
    expect(corrupt).toBe(1);
    expect(await tilesIn(directory)).toEqual([]);
  });

  it('are found although one of them goes while they are looked for', async () => {
    const directory = await directoryOf();
    const store = await openDiskStore({ directory, maxBytes: 1e6 });
    for (const name of ['a', 'b', 'c']) await store.put(keyOf(name), tile);
    const [first] = await tilesIn(directory);
    // Listed, and gone when it is looked at.
    await rm(join(directory, first!));
    await symlink(join(directory, 'nowhere'), join(directory, first!));
    const changes: string[] = [];
    const next = await openDiskStore({
      directory,
      maxBytes: 1500,
      onChange: (_store, _healthy, reason) => changes.push(reason),
    });
    await next.scanned;
    expect(changes).toEqual([]);
    // Both are known: one has to go.
    expect((await tilesIn(directory)).filter((name) => name !== first)).toHaveLength(1);
    await next.close();
  });

  it('stay within their bound, the least recently used going first', async () => {
    const directory = await directoryOf();
    const store = await openDiskStore({ directory, maxBytes: 10_500 });
    for (let i = 0; i < 10; i++) await store.put(keyOf(`${i}`), tile);
    await store.get(keyOf('0'));
    for (let i = 10; i < 14; i++) await store.put(keyOf(`${i}`), tile);
    let bytes = 0;
    for (const name of await tilesIn(directory)) bytes += (await stat(join(directory, name))).size;
    expect(bytes).toBeLessThanOrEqual(10_500);
    expect(await store.get(keyOf('0'))).toBeDefined();
    expect(await store.get(keyOf('1'))).toBeUndefined();
    expect(await store.get(keyOf('13'))).toBeDefined();
  });

  it('are done without while their directory cannot be written, and used again afterwards', async () => {
    const directory = join(await directoryOf(), 'cache');
    const changes: string[] = [];
    const store = await openDiskStore({
      directory,
      maxBytes: 1e6,
      pauseMs: 50,
      onChange: (_, healthy, reason) => changes.push(`${healthy} ${reason}`),
    });
    await store.put(keyOf('a'), tile);
    await rename(directory, `${directory}-away`);
    await writeFile(directory, 'a file stands where the directory was');
    await store.put(keyOf('b'), tile);
    await store.put(keyOf('c'), tile);
    expect(await store.get(keyOf('a'))).toBeUndefined();
    expect(store.healthy).toBe(false);
    await rm(directory);
    await rename(`${directory}-away`, directory);
    await new Promise((resolve) => setTimeout(resolve, 80));
    await store.put(keyOf('d'), tile);
    expect(store.healthy).toBe(true);
    expect(await store.get(keyOf('a'))).toBeDefined();
    expect(changes).toEqual([expect.stringMatching(/^false E/), 'true works again']);
  });
});

it('a tile that cannot get its name leaves nothing behind', async () => {
  const directory = await directoryOf();
  const store = await openDiskStore({ directory, maxBytes: 1e6 });
  const folder = join(directory, keyOf('a').slice(0, 2));
  await mkdir(join(folder, `${keyOf('a')}.tile`, 'in the way'), { recursive: true });
  await store.put(keyOf('a'), tile);
  expect(store.healthy).toBe(false);
  expect(await readdir(folder)).toEqual([`${keyOf('a')}.tile`]);
  await store.close();
});

it('tiles that are written again and again count once, and those that somebody else has removed not at all', async () => {
  const directory = await directoryOf();
  const store = await openDiskStore({ directory, maxBytes: 5500 });
  for (const name of ['a', 'b', 'c']) await store.put(keyOf(name), tile);
  for (let i = 0; i < 10; i++) await store.put(keyOf('c'), tile);
  expect(await tilesIn(directory)).toHaveLength(3);
  await rm(join(directory, keyOf('a').slice(0, 2)), { recursive: true });
  expect(await store.get(keyOf('a'))).toBeUndefined();
  for (const name of ['d', 'e', 'f']) await store.put(keyOf(name), tile);
  expect(await tilesIn(directory)).toHaveLength(5);
  expect(store.healthy).toBe(true);
  await store.close();
});

it('a slow disk is given 32 tiles at a time, and goes without the others', async () => {
  const directory = await directoryOf();
  const store = await openDiskStore({ directory, maxBytes: 1e6 });
  await Promise.all(Array.from({ length: 50 }, (_, i) => store.put(keyOf(`${i}`), tile)));
  expect(await tilesIn(directory)).toHaveLength(32);
  await store.put(keyOf('later'), tile);
  expect(await store.get(keyOf('later'))).toBeDefined();
  await store.close();
});

describe('tiles that are on the disk at the start', () => {
  it('go in the order in which they were written, and what is not the cache’s stays', async () => {
    const directory = await directoryOf();
    const before = await openDiskStore({ directory, maxBytes: 1e6 });
    const names = Array.from({ length: 12 }, (_, i) => `${i}`);
    for (const [i, name] of names.entries()) {
      await before.put(keyOf(name), tile);
      const path = join(directory, keyOf(name).slice(0, 2), `${keyOf(name)}.tile`);
      // The first is the youngest.
      await utimes(path, 1e9 - i, 1e9 - i);
    }
    await mkdir(join(directory, 'notes'));
    await writeFile(join(directory, 'notes', `${keyOf('x')}.tile`), Buffer.alloc(50_000));
    const store = await openDiskStore({ directory, maxBytes: 8500 });
    await store.scanned;
    const kept: string[] = [];
    for (const name of names) if ((await store.get(keyOf(name))) !== undefined) kept.push(name);
    expect(kept).toEqual(names.slice(0, 7));
    expect(await readdir(join(directory, 'notes'))).toHaveLength(1);
    await store.close();
  });

  it('and were never finished go after an hour, for others may be writing theirs', async () => {
    const directory = await directoryOf();
    const folder = join(directory, 'ab');
    await mkdir(folder);
    const hour = 3600;
    const now = Date.now() / 1000;
    for (const [name, age] of [
      ['old', 1.1 * hour],
      ['young', 0.9 * hour],
    ] as const) {
      const path = join(folder, `${keyOf(name)}.tile.${name}.writing`);
      await writeFile(path, 'half');
      await utimes(path, now - age, now - age);
    }
    const store = await openDiskStore({ directory, maxBytes: 1e6 });
    await store.scanned;
    expect(await readdir(folder)).toEqual([expect.stringMatching(/\.young\.writing$/)]);
    await store.close();
  });

  it('are given before all of them are known, and those that were used meanwhile stay longest', async () => {
    const directory = await directoryOf();
    const before = await openDiskStore({ directory, maxBytes: 1e6 });
    for (let i = 0; i < 20; i++) await before.put(keyOf(`${i}`), tile);
    const store = await openDiskStore({ directory, maxBytes: 15_500 });
    // The first ones, which would go first.
    expect(await store.get(keyOf('0'))).toBeDefined();
    await store.put(keyOf('new'), tile);
    await store.scanned;
    expect(await tilesIn(directory)).toHaveLength(13);
    for (const name of ['0', 'new', '19']) expect(await store.get(keyOf(name))).toBeDefined();
    await store.close();
  });

  it.skipIf(process.platform !== 'linux')(
    'may be in a place where nothing can be: the store is done without',
    async () => {
      const reasons: string[] = [];
      const store = await openDiskStore({
        directory: '/proc/liif/cache',
        maxBytes: 1e6,
        onChange: (_, __, reason) => reasons.push(reason),
      });
      expect(store.healthy).toBe(false);
      expect(reasons).toEqual(['ENOENT']);
      await store.put(keyOf('a'), tile);
    },
  );

  it.skipIf(!mayMount())('make room where the disk has less than their bound (needs root)', async () => {
    const directory = await directoryOf();
    expect(spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=256k', 'tmpfs', directory]).status).toBe(0);
    afterThisFile(() => spawnSync('umount', [directory]));
    const store = await openDiskStore({ directory, maxBytes: 1e6, pauseMs: 0 });
    const large = Buffer.alloc(20_000, 7);
    for (let i = 0; i < 40; i++) await store.put(keyOf(`${i}`), large);
    const kept = await Promise.all(Array.from({ length: 40 }, (_, i) => store.get(keyOf(`${i}`))));
    expect(kept.slice(0, 20).every((found) => found === undefined)).toBe(true);
    expect(kept.slice(36).some((found) => found !== undefined)).toBe(true);
  });
});

/** Whether this process may make a small disk. */
function mayMount(): boolean {
  return spawnSync('unshare', ['-m', 'mount', '-t', 'tmpfs', 'tmpfs', '/mnt']).status === 0;
}

describe.skipIf(!installed('redis-server'))('tiles in Redis (needs redis-server)', () => {
  it('are shared, checked, and done without while Redis is gone', async () => {
    const port = await freePort();
    const changes: string[] = [];
    let corrupt = 0;
    const url = `redis://127.0.0.1:${port}`;
    // Redis is not there yet: the store starts all the same.
    const begun = performance.now();
    const store = await openRedisStore({
      url,
      pauseMs: 50,
      onChange: (_, healthy) => changes.push(String(healthy)),
      onCorrupt: () => corrupt++,
    });
    expect(performance.now() - begun).toBeLessThan(10_000);
    expect(store.healthy).toBe(false);
    expect(await store.get(keyOf('a'))).toBeUndefined();

    const redis = await startRedis(port);
    await eventually(() => store.healthy);
    const other = await openRedisStore({ url, pauseMs: 50 });
    // Either goes without an answer that takes long.
    await eventually(async () => {
      await store.put(keyOf('a'), tile);
      return (await other.get(keyOf('a')))?.equals(tile) === true;
    });

    // Somebody else's bytes under our key
    const { createClient } = await import('redis');
    const client = createClient({ url });
    client.on('error', () => {});
    await client.connect();
    await client.set(`liif:1:${keyOf('b')}`, 'no tile');
    expect(await client.ttl(`liif:1:${keyOf('a')}`)).toBeGreaterThan(600_000);
    client.destroy();
    await eventually(async () => {
      expect(await store.get(keyOf('b'))).toBeUndefined();
      return corrupt > 0;
    });
    expect(corrupt).toBe(1);

    redis.kill('SIGKILL');
    await ended(redis);
    await eventually(() => !store.healthy);
    const asked = performance.now();
    expect(await store.get(keyOf('a'))).toBeUndefined();
    await store.put(keyOf('a'), tile);
    expect(performance.now() - asked).toBeLessThan(5000);

    await startRedis(port);
    await eventually(() => store.healthy);
    await eventually(async () => {
      await store.put(keyOf('c'), tile);
      return (await store.get(keyOf('c'))) !== undefined;
    });
    expect(changes.filter((change, i) => change === changes[i - 1])).toEqual([]);
    await store.close();
    await other.close();
  });

  it('are not waited for when Redis hangs', async () => {
    const port = await freePort();
    const redis = await startRedis(port);
    const reasons: string[] = [];
    const store = await openRedisStore({
      url: `redis://127.0.0.1:${port}`,
      timeoutMs: 100,
      pauseMs: 50,
      onChange: (_, healthy, reason) => healthy || reasons.push(reason),
    });
    await eventually(() => store.healthy);
    // It may have been late at first.
    reasons.length = 0;
    redis.kill('SIGSTOP');
    const asked = performance.now();
    expect(await store.get(keyOf('a'))).toBeUndefined();
    expect(performance.now() - asked).toBeLessThan(10_000);
    expect(store.healthy).toBe(false);
    expect(reasons).toEqual(['NoAnswerError']);
    redis.kill('SIGCONT');
    await eventually(async () => {
      await store.put(keyOf('a'), tile);
      return (await store.get(keyOf('a'))) !== undefined;
    });
    await store.close();
  });

  it('do not gather in memory while Redis hangs', async () => {
    const port = await freePort();
    const redis = await startRedis(port);
    const store = await openRedisStore({ url: `redis://127.0.0.1:${port}`, timeoutMs: 20, pauseMs: 0 });
    await eventually(() => store.healthy);
    redis.kill('SIGSTOP');
    for (let i = 0; i < 40; i++) await store.put(keyOf(`${i}`), Buffer.alloc(2 ** 20));
    redis.kill('SIGCONT');
    await eventually(async () => {
      await store.put(keyOf('a'), tile);
      return (await store.get(keyOf('a'))) !== undefined;
    });
    const kept = await Promise.all(Array.from({ length: 40 }, (_, i) => storedIn(port, keyOf(`${i}`))));
    expect(kept.filter(Boolean).length).toBeLessThanOrEqual(16);
    await store.close();
  });

  it('are given while Redis refuses to keep more, which is told once, and tried again after a while', async () => {
    const port = await freePort();
    await startRedis(port);
    const url = `redis://127.0.0.1:${port}`;
    const { createClient } = await import('redis');
    const client = createClient({ url });
    await client.connect();
    const changes: string[] = [];
    const store = await openRedisStore({
      url,
      timeoutMs: 5000,
      refusedPauseMs: 200,
      onChange: (_, healthy, reason) => changes.push(`${healthy} ${reason}`),
    });
    await eventually(() => store.healthy);
    await store.put(keyOf('a'), tile);
    changes.length = 0;
    await client.configSet({ maxmemory: '1', 'maxmemory-policy': 'noeviction' });
    for (let i = 0; i < 3; i++) {
      await store.put(keyOf(`${i}`), tile);
      expect(await store.get(keyOf('a'))).toBeDefined();
    }
    expect(changes).toEqual(['false OOM']);
    expect(store.healthy).toBe(false);
    await client.configSet('maxmemory', '0');
    await eventually(async () => {
      await store.put(keyOf('b'), tile);
      return (await store.get(keyOf('b'))) !== undefined;
    });
    expect(changes).toEqual(['false OOM', 'true works again']);
    client.destroy();
    await store.close();
  });

  it('of more than a mebibyte are not kept', async () => {
    const port = await freePort();
    await startRedis(port);
    const store = await openRedisStore({ url: `redis://127.0.0.1:${port}`, timeoutMs: 5000 });
    await eventually(() => store.healthy);
    await store.put(keyOf('large'), Buffer.alloc(2 ** 20));
    await store.put(keyOf('larger'), Buffer.alloc(2 ** 20 + 1));
    expect([await storedIn(port, keyOf('large')), await storedIn(port, keyOf('larger'))]).toEqual([
      true,
      false,
    ]);
    await store.close();
  });

  it('are done without where Redis refuses, and the log says why without the password', async () => {
    const port = await freePort();
    await startRedis(port, ['--requirepass', 'right']);
    for (const [user, word] of [
      [':wrong@', 'WRONGPASS'],
      ['', 'NOAUTH'],
    ] as const) {
      const reasons: string[] = [];
      const store = await openRedisStore({
        url: `redis://${user}127.0.0.1:${port}`,
        // Four times that until it is given up for no connection at all.
        timeoutMs: 500,
        onChange: (_, healthy, reason) => healthy || reasons.push(reason),
      });
      await store.put(keyOf('a'), tile);
      expect(reasons.slice(0, 1)).toEqual([word]);
      await store.close();
    }
  });
});
