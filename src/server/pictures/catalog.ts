import type { Stats } from 'node:fs';
import { opendir, realpath, stat } from 'node:fs/promises';
import { basename, extname, join, resolve, sep } from 'node:path';
import { SourceError } from '../../errors.ts';
import type { PictureId } from '../http/request.ts';
import { PLAIN_EXTENSIONS } from './plain-picture.ts';
import { identityOf, RootWatch } from './root-watch.ts';

/** A file of the catalog, as it was when it was last looked at. */
export interface CatalogEntry {
  /** Path below its root, `/` between parts, without `.liif`. */
  readonly id: string;
  readonly title: string;
  readonly kind: 'liif' | 'image';
  /** Real path. */
  readonly path: string;
  /** Real path of the directory that it must stay in. */
  readonly root: string;
  /** Changes whenever the file is another. */
  readonly stamp: string;
  /** When it was looked at, by `performance.now()`. */
  readonly lookedAt: number;
}

/** What tells one file at a path from the next: a replaced one may have the time of the old. */
export function stampOf({ ino, size, mtimeMs }: Stats): string {
  return `${ino}/${size}/${mtimeMs}`;
}

export interface CatalogOptions {
  /** Directories and files. */
  readonly roots: readonly string[];
  readonly plain: boolean;
  readonly watch: boolean;
  readonly onWarning?: (message: string) => void;
  readonly onChange?: (pictures: number) => void;
}

const MAX_ENTRIES = 1_000_000;
/** Events that come closer together than this are one. */
const SETTLE_MS = 150;
/** So long at most after the first of them: a directory may be filled for minutes. */
const LONGEST_SETTLE_MS = 1000;

interface Root {
  /** As it was named: a link may lead elsewhere later. */
  readonly named: string;
  /** Where it was when it was last there. */
  readonly path: string;
  readonly directory: boolean;
  readonly identity: string;
}

/**
 * The pictures that may be served. Requests are looked up here by name and never reach the file system with a text of their own. Files and
 * directories whose names begin with a dot are left out, and so are links to directories or out of their root.
 */
export class Catalog {
  readonly #options: CatalogOptions;
  #roots: readonly Root[];
  #entries: ReadonlyMap<string, CatalogEntry> = new Map();
  #originals = 0;
  #watches: readonly RootWatch[] = [];
  #timer: NodeJS.Timeout | undefined;
  /** When a scan must begin because of events that are not yet seen to. */
  #due: number | undefined;
  #scanning: Promise<void> | undefined;
  #again = false;
  #closed = false;
  /** Warnings of the last scan and of the one that runs: each is told once, not whenever a file has changed. */
  #told: ReadonlySet<string> = new Set();
  #warnings = new Set<string>();

  private constructor(options: CatalogOptions, roots: readonly Root[]) {
    this.#options = options;
    this.#roots = roots;
  }

  /** Scans the roots. Rejects with SourceError where one is not there. */
  static async open(options: CatalogOptions): Promise<Catalog> {
    const roots: Root[] = [];
    for (const root of options.roots) {
      try {
        roots.push(await rootAt(resolve(root)));
      } catch (cause) {
        throw new SourceError(`${root}: no such file or directory`, { cause });
      }
    }
    const catalog = new Catalog(options, roots);
    await catalog.rescan();
    if (options.watch)
      catalog.#watches = roots.map(
        (root) => new RootWatch(root, () => catalog.#noticed(), options.onWarning),
      );
    return catalog;
  }

  get size(): number {
    return this.#entries.size;
  }

  /** How many are perhaps what others were made from: plain images with the name of a .liif. */
  get originals(): number {
    return this.#originals;
  }

  /** In the order of their ids. */
  list(): readonly CatalogEntry[] {
    return [...this.#entries.values()];
  }

  /** The first directory, where uploads go. */
  get directory(): string | undefined {
    return this.#roots.find(({ directory }) => directory)?.path;
  }

  get(name: string): CatalogEntry | undefined {
    return this.#entries.get(name);
  }

  /** The picture of an id and the factor of its virtual canvas. A picture of the whole name goes first. */
  find(id: PictureId): { readonly entry: CatalogEntry; readonly factor: number } | undefined {
    const whole = this.#entries.get(id.name);
    if (whole) return { entry: whole, factor: 1 };
    const entry = id.canvas && this.#entries.get(id.canvas.name);
    return entry && { entry, factor: id.canvas!.factor };
  }

  /** A plain image with the name of a .liif: perhaps what it was made from. */
  originalOf(entry: CatalogEntry): CatalogEntry | undefined {
    if (entry.kind !== 'liif') return undefined;
    for (const extension of PLAIN_EXTENSIONS) {
      const original = this.#entries.get(`${entry.id}.${extension}`);
      if (original?.kind === 'image') return original;
    }
    return undefined;
  }

  /** Looks at all roots again; calls during a scan lead to one more. */
  async rescan(): Promise<void> {
    if (this.#scanning) {
      this.#again = true;
      return this.#scanning;
    }
    this.#scanning = (async () => {
      do {
        this.#again = false;
        await this.#scan();
      } while (this.#again && !this.#closed);
    })();
    try {
      await this.#scanning;
    } finally {
      this.#scanning = undefined;
    }
  }

  async close(): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#timer);
    await Promise.all(this.#watches.map((watched) => watched.close()));
    await this.#scanning;
  }

  /** Looks at the roots again soon. */
  #noticed(): void {
    const now = performance.now();
    this.#due ??= now + LONGEST_SETTLE_MS;
    clearTimeout(this.#timer);
    if (this.#closed) return;
    this.#timer = setTimeout(
      () => {
        this.#due = undefined;
        this.rescan().catch((error: Error) => this.#options.onWarning?.(error.message));
      },
      Math.min(SETTLE_MS, this.#due - now),
    );
  }

  async #scan(): Promise<void> {
    const found = new Map<string, CatalogEntry>();
    this.#warnings = new Set();
    const roots: Root[] = [];
    for (const before of this.#roots) {
      const root = await rootAt(before.named).catch(() => undefined);
      roots.push(root ?? before);
      if (root === undefined) continue; // gone for now
      if (root.directory) await this.#scanDirectory(root.path, root.path, '', found);
      else await this.#add(root.path, join(root.path, '..'), basename(root.path), found);
    }
    this.#roots = roots;
    this.#told = this.#warnings;
    this.#entries = new Map([...found].sort(([a], [b]) => (a < b ? -1 : 1)));
    this.#originals = new Set(this.list().flatMap((entry) => this.originalOf(entry) ?? [])).size;
    this.#options.onChange?.(this.#entries.size);
  }

  async #scanDirectory(
    root: string,
    path: string,
    prefix: string,
    found: Map<string, CatalogEntry>,
  ): Promise<void> {
    let directory: Awaited<ReturnType<typeof opendir>>;
    try {
      directory = await opendir(path);
    } catch {
      return; // removed meanwhile, or not ours to read
    }
    for await (const entry of directory) {
      if (entry.name.startsWith('.') || /[\\\p{Cc}]/u.test(entry.name) || found.size >= MAX_ENTRIES) continue;
      const name = prefix + entry.name;
      const child = await this.#inside(root, join(path, entry.name), name);
      if (child === undefined) continue;
      // Linked directories inside the root have names of their own there, and might go in circles.
      if (entry.isDirectory()) await this.#scanDirectory(root, child, `${name}/`, found);
      else await this.#add(child, root, name, found);
    }
  }

  /** The real path, or undefined where it leads out of the root. */
  async #inside(root: string, path: string, name: string): Promise<string | undefined> {
    let real: string;
    try {
      real = await realpath(path);
    } catch {
      return undefined;
    }
    if (real === root || real.startsWith(root.endsWith(sep) ? root : root + sep)) return real;
    this.#warn(`${name}: a link that leads out of its directory is not served`);
    return undefined;
  }

  #warn(message: string): void {
    if (!this.#told.has(message) && !this.#warnings.has(message)) this.#options.onWarning?.(message);
    this.#warnings.add(message);
  }

  async #add(path: string, root: string, name: string, found: Map<string, CatalogEntry>): Promise<void> {
    const extension = extname(name).slice(1).toLowerCase();
    const liif = extension === 'liif';
    if (!liif && !(this.#options.plain && (PLAIN_EXTENSIONS as readonly string[]).includes(extension)))
      return;
    const stats = await stat(path).catch(() => undefined);
    const lookedAt = performance.now();
    if (!stats?.isFile()) return;
    const id = liif ? name.slice(0, -extension.length - 1) : name;
    const base = basename(name);
    const other = found.get(id);
    if (other) {
      this.#warn(`two pictures have the id ${id}; one of them is not served`);
      if (!liif || other.kind === 'liif') return;
    }
    found.set(id, {
      id,
      title: base.slice(0, base.length - extension.length - 1),
      kind: liif ? 'liif' : 'image',
      path,
      root,
      stamp: stampOf(stats),
      lookedAt,
    });
  }
}

/** Rejects where nothing is there. */
async function rootAt(named: string): Promise<Root> {
  const path = await realpath(named);
  const stats = await stat(path);
  return { named, path, directory: stats.isDirectory(), identity: identityOf(stats) };
}
