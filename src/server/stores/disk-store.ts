import { randomUUID } from 'node:crypto';
import { mkdir, opendir, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { replaceFile } from '../../image/atomic-file.ts';
import { inParallel } from '../../parallel.ts';
import { Breaker, type StoreEvents, sealTile, type TileStore, unsealTile } from './tile-store.ts';

export interface DiskStoreOptions extends StoreEvents {
  readonly directory: string;
  /** Bound of all files together. */
  readonly maxBytes: number;
  /** How long writing pauses after a failure, default 10 s. */
  readonly pauseMs?: number;
}

/** Below this part of the bound nothing more is removed. */
const LOW_WATER = 0.9;
/** What systems say where nothing more can be written. */
const NO_ROOM = ['ENOSPC', 'EDQUOT'];
/** Left behind by a process that was killed while it wrote. */
const STALE_MS = 3_600_000;

/** Tiles that are looked at side by side; the system is asked by few threads, which encoders share. */
const LOOKS = 4;

export interface DiskTileStore extends TileStore {
  /** Resolves when what was there at the start is known, or could not be read. */
  readonly scanned: Promise<void>;
}

/**
 * Tiles as files: `ab/abcd….tile`, written under another name and renamed, with a checksum, the least recently used removed; of those that were there at the start,
 * the least recently written. Several servers may share a directory; each bounds what it knows of. What was there is looked through behind the back of
 * requests, which have all of it from the beginning.
 */
export async function openDiskStore(options: DiskStoreOptions): Promise<DiskTileStore> {
  const store = new DiskStore(options);
  await store.begin();
  return store;
}

class DiskStore implements DiskTileStore {
  readonly name = 'disk';
  readonly #options: DiskStoreOptions;
  readonly #breaker: Breaker;
  /** Sizes of the known tiles, least recently used first. */
  readonly #sizes = new Map<string, number>();
  #bytes = 0;
  #removing = false;
  #closed = false;
  scanned: Promise<void> = Promise.resolve();
  /** Writes under way, bounded: a slow disk must not fill the memory. */
  #writes = 0;

  constructor(options: DiskStoreOptions) {
    this.#options = options;
    this.#breaker = new Breaker(this.name, options.pauseMs ?? 10_000, options);
  }

  get healthy(): boolean {
    return this.#breaker.healthy;
  }

  /** Bytes of the known tiles. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Makes the directory where it is missing. */
  async begin(): Promise<void> {
    try {
      await makeDirectory(this.#options.directory);
      this.scanned = this.#scan();
    } catch (error) {
      this.#breaker.failed(codeOf(error));
    }
  }

  async #scan(): Promise<void> {
    try {
      const found: Found[] = [];
      for await (const { name } of await opendir(this.#options.directory)) {
        if (this.#closed) return;
        if (/^[0-9a-f]{2}$/.test(name)) await this.#scanFolder(join(this.#options.directory, name), found);
      }
      found.sort((a, b) => a.written - b.written);
      // What has been used meanwhile goes last.
      const used = [...this.#sizes];
      for (const { key, size } of found) if (!this.#sizes.has(key)) this.#know(key, size);
      for (const [key, size] of used) this.#know(key, size);
      await this.#shrink();
    } catch (error) {
      this.#breaker.failed(codeOf(error));
    }
  }

  async #scanFolder(folder: string, found: Found[]): Promise<void> {
    // Another server may have removed it, or any of its tiles.
    const names = await readdir(folder).catch(() => []);
    await inParallel(LOOKS, names, async (name) => {
      const path = join(folder, name);
      const about = this.#closed ? undefined : await stat(path).catch(() => undefined);
      if (!about?.isFile()) return;
      const { size, mtimeMs: written } = about;
      const key = /^([0-9a-f]{64})\.tile$/.exec(name)?.[1];
      if (key !== undefined) found.push({ key, size, written });
      else if (name.endsWith('.writing') && Date.now() - written > STALE_MS) await rm(path, { force: true });
    });
  }

  async get(key: string): Promise<Buffer | undefined> {
    let bytes: Buffer;
    try {
      bytes = await readFile(this.#path(key));
    } catch (error) {
      // A tile that is not there is not a failure; neither is a directory that was removed.
      if (codeOf(error) !== 'ENOENT') this.#breaker.failed(codeOf(error));
      this.#forget(key);
      return undefined;
    }
    const payload = unsealTile(key, bytes);
    if (payload === undefined) {
      this.#options.onCorrupt?.(this.name);
      this.#forget(key);
      await rm(this.#path(key), { force: true }).catch(() => {});
      return undefined;
    }
    this.#know(key, bytes.length);
    return payload;
  }

  async put(key: string, bytes: Buffer): Promise<void> {
    if (!this.#breaker.open || this.#writes >= 32) return;
    const path = this.#path(key);
    const written = `${path}.${randomUUID()}.writing`;
    this.#writes++;
    try {
      const sealed = sealTile(key, bytes);
      await makeDirectory(dirname(path));
      await writeFile(written, sealed, { flag: 'wx' });
      await replaceFile(written, path);
      this.#know(key, sealed.length);
      this.#breaker.worked();
      await this.#shrink();
    } catch (error) {
      await rm(written, { force: true }).catch(() => {});
      const code = codeOf(error);
      this.#breaker.failed(code);
      // The disk has less room than the bound: by the next attempt there is some.
      if (NO_ROOM.includes(code)) await this.#shrink(this.#bytes * LOW_WATER).catch(() => {});
    } finally {
      this.#writes--;
    }
  }

  async close(): Promise<void> {
    this.#closed = true;
    await this.scanned;
  }

  #path(key: string): string {
    return join(this.#options.directory, key.slice(0, 2), `${key}.tile`);
  }

  #know(key: string, size: number): void {
    this.#forget(key);
    this.#sizes.set(key, size);
    this.#bytes += size;
  }

  #forget(key: string): void {
    const size = this.#sizes.get(key);
    if (size === undefined) return;
    this.#sizes.delete(key);
    this.#bytes -= size;
  }

  /** Removes tiles where there are more bytes than the bound, or than `most`. */
  async #shrink(most = this.#options.maxBytes): Promise<void> {
    if (this.#removing || this.#bytes <= most) return;
    this.#removing = true;
    try {
      for (const key of this.#sizes.keys()) {
        if (this.#bytes <= Math.min(most, this.#options.maxBytes * LOW_WATER)) break;
        // What cannot be removed still counts.
        await rm(this.#path(key), { force: true });
        this.#forget(key);
      }
    } finally {
      this.#removing = false;
    }
  }
}

interface Found {
  readonly key: string;
  readonly size: number;
  readonly written: number;
}

/** Makes a directory and those above it. Below /proc, `mkdir` of Node 20 tries for ever to do so by itself. */
async function makeDirectory(path: string): Promise<void> {
  try {
    await mkdir(path);
  } catch (error) {
    if (codeOf(error) === 'EEXIST') return;
    if (codeOf(error) !== 'ENOENT' || dirname(path) === path) throw error;
    await makeDirectory(dirname(path));
    await mkdir(path).catch((again: unknown) => {
      if (codeOf(again) !== 'EEXIST') throw again;
    });
  }
}

function codeOf(error: unknown): string {
  return (error as NodeJS.ErrnoException).code ?? (error as Error).message;
}
