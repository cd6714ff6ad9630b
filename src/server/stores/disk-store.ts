import { randomUUID } from 'node:crypto';
import { opendir, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { replaceFile } from '../../image/atomic-file.ts';
import { makeDirectory } from '../../make-directory.ts';
import { inParallel } from '../../parallel.ts';
import { Breaker, type StoreEvents, sealTile, type TileStore, unsealTile } from './tile-store.ts';

export interface DiskStoreOptions extends StoreEvents {
  readonly directory: string;
  /** Bound of all files together. */
  readonly maxBytes: number;
  /** How long writing pauses after a failure, default 10 s. */
  readonly pauseMs?: number;
}

/** Tiles are removed until this part of the bound is left. */
const LOW_WATER = 0.9;
/** Errors of a full disk, or of an exhausted quota. */
const NO_ROOM = ['ENOSPC', 'EDQUOT'];
/** A temporary file of this age was left by a killed process. */
const STALE_MS = 3_600_000;
/** Tiles that are looked at side by side. Node asks the system on few threads, which image encoders share. */
const LOOKS = 4;

export interface DiskTileStore extends TileStore {
  /** Resolves when the tiles that were there at the start are known, or could not be read. */
  readonly scanned: Promise<void>;
}

/**
 * Tiles as files with a checksum, `ab/abcd….tile`, written under a temporary name and renamed. The least
 * recently used tiles are removed; tiles that were there at the start count as used when they were written.
 * Several servers may share a directory, and each bounds the tiles that it knows of. The directory is scanned
 * in the background, while requests find all of its tiles from the beginning.
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
      // Tiles that were used during the scan are the most recent.
      const used = [...this.#sizes];
      for (const { key, size } of found) if (!this.#sizes.has(key)) this.#know(key, size);
      for (const [key, size] of used) this.#know(key, size);
      await this.#shrink();
    } catch (error) {
      this.#breaker.failed(codeOf(error));
    }
  }

  async #scanFolder(folder: string, found: Found[]): Promise<void> {
    // Another server may have removed the folder, or any of its tiles.
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
      // A missing tile is no failure, and neither is a removed directory.
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
      // The disk has less room than the bound. This makes some for the next attempt.
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

  /** Removes tiles if they take more than `most` bytes. */
  async #shrink(most = this.#options.maxBytes): Promise<void> {
    if (this.#removing || this.#bytes <= most) return;
    this.#removing = true;
    try {
      for (const key of this.#sizes.keys()) {
        if (this.#bytes <= Math.min(most, this.#options.maxBytes * LOW_WATER)) break;
        // A tile that cannot be removed still counts.
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

function codeOf(error: unknown): string {
  return (error as NodeJS.ErrnoException).code ?? (error as Error).message;
}
