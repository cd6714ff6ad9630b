import { randomUUID } from 'node:crypto';
import { mkdir, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { replaceFile } from '../../image/atomic-file.ts';
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
/** Left behind by a process that was killed while it wrote. */
const STALE_MS = 3_600_000;

/**
 * Tiles as files: `ab/abcd….tile`, written under another name and renamed, with a checksum, the least recently used removed. Several
 * servers may share a directory; each bounds what it knows of.
 */
export async function openDiskStore(options: DiskStoreOptions): Promise<TileStore> {
  const store = new DiskStore(options);
  await store.scan();
  return store;
}

class DiskStore implements TileStore {
  readonly name = 'disk';
  readonly #options: DiskStoreOptions;
  readonly #breaker: Breaker;
  /** Sizes of the known tiles, least recently used first. */
  readonly #sizes = new Map<string, number>();
  #bytes = 0;
  #removing = false;
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

  async scan(): Promise<void> {
    const { directory } = this.#options;
    try {
      await mkdir(directory, { recursive: true });
      const found: { key: string; size: number; used: number }[] = [];
      for (const name of await readdir(directory, { recursive: true })) {
        const path = join(directory, name);
        const about = await stat(path).catch(() => undefined);
        if (!about?.isFile()) continue; // another server may have removed it meanwhile
        const { size, mtimeMs } = about;
        const key = /^([0-9a-f]{64})\.tile$/.exec(basename(name))?.[1];
        if (key !== undefined) found.push({ key, size, used: mtimeMs });
        else if (name.endsWith('.writing') && Date.now() - mtimeMs > STALE_MS)
          await rm(path, { force: true });
      }
      for (const { key, size } of found.sort((a, b) => a.used - b.used)) this.#know(key, size);
      await this.#shrink();
    } catch (error) {
      this.#breaker.failed(codeOf(error));
    }
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
      await mkdir(join(path, '..'), { recursive: true });
      await writeFile(written, sealed, { flag: 'wx' });
      await replaceFile(written, path);
      this.#know(key, sealed.length);
      this.#breaker.worked();
      await this.#shrink();
    } catch (error) {
      await rm(written, { force: true }).catch(() => {});
      this.#breaker.failed(codeOf(error));
    } finally {
      this.#writes--;
    }
  }

  async close(): Promise<void> {}

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

  async #shrink(): Promise<void> {
    if (this.#removing || this.#bytes <= this.#options.maxBytes) return;
    this.#removing = true;
    try {
      for (const key of this.#sizes.keys()) {
        if (this.#bytes <= this.#options.maxBytes * LOW_WATER) break;
        this.#forget(key);
        await rm(this.#path(key), { force: true });
      }
    } finally {
      this.#removing = false;
    }
  }
}

function codeOf(error: unknown): string {
  return (error as NodeJS.ErrnoException).code ?? (error as Error).message;
}
