import { realpath, stat } from 'node:fs/promises';
import { isLiifError, messageOf, SourceError } from '../../errors.ts';
import { type Lease, LeasedCache } from '../../features/leased-cache.ts';
import { fileSource } from '../../reader/file-source.ts';
import type { EngineHost } from '../engines/engine-host.ts';
import { notFound, Problem, stopping } from '../problem.ts';
import type { Catalog } from './catalog/catalog.ts';
import { type CatalogEntry, isBelow, stampOf } from './catalog/directory-listing.ts';
import { Failures } from './failures.ts';
import { openLiifPicture } from './liif-picture.ts';
import type { ServedPicture } from './picture.ts';
import type { PictureId } from './picture-id.ts';
import type { PlainOptions } from './plain/plain-decoder.ts';
import { openPlainPicture } from './plain/plain-picture.ts';
import type { Located, Remotes } from './remotes.ts';

/** An opened picture under the id that a request gave. */
export interface FoundPicture {
  readonly id: string;
  readonly title: string;
  /** Factor of the virtual canvas; 1 for the picture itself. */
  readonly factor: number;
  /** Time of the file in milliseconds since 1970; undefined for remote files. */
  readonly modified: number | undefined;
  readonly lease: Lease<ServedPicture>;
  /** Generation of the engines that it was opened with; 0 for pictures that need none. */
  readonly generation: number;
}

export interface OpenPicturesOptions {
  readonly catalog: Catalog;
  readonly remotes: Remotes;
  readonly engines: EngineHost;
  readonly plain: PlainOptions;
  /** How long a remote file is taken to be the same without asking, in milliseconds. */
  readonly remoteFreshMs: number;
  /**
   * Pictures, and so file handles, that stay open. Each MiB that a picture holds in memory counts as one more
   * picture. Default 64.
   */
  readonly maxOpen?: number;
}

/** How long the `stat` of a file is believed. */
const STAT_MS = 500;

/** Remote files that are opened side by side: each may take as long as remotes are waited for. */
const MAX_REMOTE_OPENINGS = 128;

interface Seen {
  readonly at: number;
  readonly stamp: string;
  readonly modified: number;
}

/**
 * Opened pictures, shared by requests. A replaced file is a new picture; requests that have the old one open
 * finish with it.
 */
export class OpenPictures {
  readonly #options: OpenPicturesOptions;
  readonly #pictures: LeasedCache<ServedPicture>;
  readonly #seen = new Map<string, Seen>();
  /** Key under which a picture of the catalog was last opened, by its id. */
  readonly #keys = new Map<string, string>();
  /** Changes of remote files noticed while reading, counted by address. */
  readonly #epochs = new Map<string, number>();
  readonly #failures = new Failures();
  readonly #remoteFailures: Failures;
  #remoteOpenings = 0;

  constructor(options: OpenPicturesOptions) {
    this.#options = options;
    this.#remoteFailures = new Failures(options.remoteFreshMs);
    this.#pictures = new LeasedCache({
      maxBytes: options.maxOpen ?? 64,
      sizeOf: ({ heldBytes }) => Math.ceil(heldBytes / 2 ** 20),
      close: (picture) => void picture.close().catch(() => {}),
    });
  }

  /**
   * The picture of an id; the caller releases its lease. Rejects with Problem 404, with LiifError, or with
   * the signal's reason.
   */
  async find(id: PictureId, signal: AbortSignal): Promise<FoundPicture> {
    const found = this.#options.catalog.find(id);
    if (found) return this.open(found.entry, found.factor, signal);
    // A remote cannot be listed, so a name that ends in a factor always means a virtual canvas.
    for (const { name, factor } of [...(id.canvas ? [id.canvas] : []), { name: id.name, factor: 1 }]) {
      const located = this.#options.remotes.locate(name);
      if (located) return this.#openRemote(name, factor, located, signal);
    }
    throw notFound('There is no such picture.');
  }

  async open(entry: CatalogEntry, factor: number, signal: AbortSignal): Promise<FoundPicture> {
    const { stamp, modified } = await this.#look(entry);
    const { engines } = this.#options;
    const generation = entry.kind === 'liif' ? engines.generation : 0;
    const key = `${keyStart(entry.id, stamp)}${generation}`;
    // An open handle would keep the disk space of the replaced file.
    if (this.#keys.get(entry.id) !== key) this.#close(entry.id);
    this.#keys.set(entry.id, key);
    const lease = await this.#pictures.lease(
      key,
      (shared) => this.#failures.open(key, () => this.#openFile(entry, shared)),
      signal,
    );
    return { id: entry.id, title: entry.title, factor, modified, lease, generation };
  }

  /**
   * When the file of a picture last changed, by its last `stat`, in milliseconds since 1970; undefined if
   * there was none.
   */
  modifiedOf(id: PictureId): number | undefined {
    const found = this.#options.catalog.find(id);
    return found && this.#seen.get(found.entry.id)?.modified;
  }

  /** Forgets what is known of a file, so that the next request looks at it again. */
  forget(id: string): void {
    this.#seen.delete(id);
    const located = this.#options.catalog.get(id) ? undefined : this.#options.remotes.locate(id);
    if (located) {
      if (this.#epochs.size > 10_000) this.#epochs.clear();
      this.#epochs.set(located.url, (this.#epochs.get(located.url) ?? 0) + 1);
    }
  }

  /**
   * To be called when the catalog has been read again. Closes pictures that it no longer has, or has with
   * another file.
   */
  closeOld(): void {
    const { catalog } = this.#options;
    for (const id of this.#seen.keys()) if (catalog.get(id) === undefined) this.#seen.delete(id);
    for (const [id, key] of this.#keys) {
      const entry = catalog.get(id);
      if (!entry || !key.startsWith(keyStart(id, entry.stamp))) this.#close(id);
    }
  }

  close(): void {
    this.#pictures.close(stopping());
  }

  async #openRemote(
    id: string,
    factor: number,
    located: Located,
    signal: AbortSignal,
  ): Promise<FoundPicture> {
    const { generation } = this.#options.engines;
    const epoch = `${this.#epochs.get(located.url) ?? 0}/${Math.floor(performance.now() / Math.max(1, this.#options.remoteFreshMs))}`;
    // By address: one picture may have ids of several spellings.
    const key = [located.url, located.signed, epoch, generation].join('\n');
    const lease = await this.#pictures.lease(
      key,
      (shared) => this.#remoteFailures.open(key, () => this.#openLocated(located, shared)),
      signal,
    );
    const title = id.slice(id.lastIndexOf('/') + 1);
    return { id, title, factor, modified: undefined, lease, generation };
  }

  /** Requests that are reading the picture keep it open until they end. */
  #close(id: string): void {
    const key = this.#keys.get(id);
    if (key === undefined) return;
    this.#keys.delete(id);
    this.#pictures.drop(key);
  }

  async #openFile(entry: CatalogEntry, signal: AbortSignal): Promise<ServedPicture> {
    const { engines, plain } = this.#options;
    await this.#checkRoot(entry);
    if (entry.kind !== 'liif') return openPlainPicture(entry.path, plain, signal);
    const source = await fileSource(entry.path);
    return openLiifPicture(source, entry.id, (hash) => engines.running(hash), signal);
  }

  async #openLocated(located: Located, signal: AbortSignal): Promise<ServedPicture> {
    const { remotes, engines } = this.#options;
    if (this.#remoteOpenings >= MAX_REMOTE_OPENINGS)
      throw new Problem(503, 'overloaded', 'Too many remote pictures are being opened; try again soon.', {
        retryAfter: 2,
      });
    this.#remoteOpenings++;
    try {
      return await openLiifPicture(
        remotes.open(located),
        located.url,
        (hash) => engines.running(hash),
        signal,
      );
    } finally {
      this.#remoteOpenings--;
    }
  }

  async #look(entry: CatalogEntry): Promise<Seen> {
    const seen = this.#seen.get(entry.id);
    // If the catalog has looked at the file since, it may be another one.
    if (seen && seen.at >= entry.lookedAt && performance.now() - seen.at < STAT_MS) return seen;
    const at = performance.now();
    try {
      const stats = await stat(entry.path);
      const now = { at, stamp: stampOf(stats), modified: stats.mtimeMs };
      this.#seen.set(entry.id, now);
      return now;
    } catch (error) {
      this.#seen.delete(entry.id);
      const { code = '' } = error as NodeJS.ErrnoException;
      // ENOTDIR: its folder may have become a file.
      if (['ENOENT', 'ENOTDIR'].includes(code)) {
        this.#close(entry.id);
        this.#options.catalog.missing(entry);
        throw notFound('There is no such picture.');
      }
      throw new SourceError(`${entry.path}: ${messageOf(error)}`, { cause: error });
    }
  }

  /** Rejects with 404 if the path now leads out of its root: links may have changed since the scan. */
  async #checkRoot(entry: CatalogEntry): Promise<void> {
    const real = await realpath(entry.path).catch(() => undefined);
    if (real === undefined || !isBelow(entry.root, real)) throw notFound('There is no such picture.');
  }
}

/** Beginning of the keys of a file, whatever the engines. */
function keyStart(id: string, stamp: string): string {
  return `${id}\n${stamp}\n`;
}

/** Whether the picture may succeed with another engine. */
export function isEngineFailure(error: unknown): boolean {
  return isLiifError(error, 'EngineError');
}
