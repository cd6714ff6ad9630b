import { dirname, extname } from 'node:path';
import type { PictureId } from '../picture-id.ts';
import { PLAIN_EXTENSIONS } from '../plain/plain-picture.ts';
import { type CatalogEntry, folded } from './directory-listing.ts';
import { compareInOrder } from './natural-order.ts';
import { RootScanner, rootsAt } from './root-scanner.ts';
import type { Root } from './root-watch.ts';
import { ScanSchedule } from './scan-schedule.ts';

export interface CatalogOptions {
  /** Directories and files. */
  readonly roots: readonly string[];
  readonly plain: boolean;
  readonly watch: boolean;
  readonly onWarning?: (message: string) => void;
  readonly onChange?: (pictures: number) => void;
}

/**
 * The pictures that may be served. A request finds its picture here by name, so no text of a client ever
 * reaches the file system.
 */
export class Catalog {
  readonly #onChange: ((pictures: number) => void) | undefined;
  readonly #scanner: RootScanner;
  readonly #schedule: ScanSchedule;
  #entries: ReadonlyMap<string, CatalogEntry> = new Map();
  #list: readonly CatalogEntry[] = [];
  /**
   * Plain images, by the id of the .liif beside them that has the same name: perhaps it was made from them.
   */
  #originals: ReadonlyMap<string, CatalogEntry> = new Map();

  private constructor(
    roots: readonly Root[],
    { plain, watch, onWarning, onChange }: Omit<CatalogOptions, 'roots'>,
  ) {
    this.#onChange = onChange;
    this.#schedule = new ScanSchedule({
      scan: () => this.#scan(),
      onError: (error) => onWarning?.(error.message),
    });
    this.#scanner = new RootScanner(roots, {
      plain,
      watch,
      onChange: () => this.#schedule.scanSoon(),
      onWarning,
    });
  }

  /** Scans the roots. Rejects with SourceError where one is not there. */
  static async open({ roots, ...options }: CatalogOptions): Promise<Catalog> {
    const catalog = new Catalog(await rootsAt(roots), options);
    await catalog.#schedule.scanFirst();
    catalog.#scanner.watchRoots();
    return catalog;
  }

  get size(): number {
    return this.#entries.size;
  }

  /** Pictures in natural order of their ids: all, or those with `part` in their id or title, in any case. */
  list(part = ''): readonly CatalogEntry[] {
    if (part === '') return this.#list;
    const wanted = folded(part);
    return this.#list.filter(({ searched }) => searched.includes(wanted));
  }

  /** How many of these have an original, as `originalOf` finds it. */
  originalsIn(entries: readonly CatalogEntry[]): number {
    if (entries === this.#list) return this.#originals.size;
    return entries.filter(({ id }) => this.#originals.has(id)).length;
  }

  /** The first directory, where uploads go. */
  get directory(): string | undefined {
    return this.#scanner.directory;
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

  /** The plain image beside a .liif that has its name: perhaps what it was made from. */
  originalOf(entry: CatalogEntry): CatalogEntry | undefined {
    return this.#originals.get(entry.id);
  }

  /**
   * Scans the roots again: with watches only `directory` and the directories that have changed, without
   * watches everything. A running scan may have passed what has changed, so a call during it waits for one
   * more scan, which all such calls share.
   */
  rescan(directory?: string): Promise<void> {
    if (directory !== undefined) this.#scanner.touch(directory);
    return this.#schedule.scanNow();
  }

  /**
   * To be called where a picture is not at its path any more. Scans soon: network file systems, and links
   * above the file, change without an event.
   */
  missing({ path }: CatalogEntry): void {
    if (!this.#scanner.watches) return;
    this.#scanner.touch(dirname(path));
    this.#schedule.scanSoon();
  }

  async close(): Promise<void> {
    await this.#schedule.close();
    await this.#scanner.close();
  }

  async #scan(): Promise<boolean> {
    const { pictures, complete } = await this.#scanner.scan();
    this.#entries = pictures;
    this.#list = [...pictures.values()].sort(compareInOrder);
    this.#originals = this.#findOriginals();
    this.#onChange?.(pictures.size);
    return complete;
  }

  #findOriginals(): ReadonlyMap<string, CatalogEntry> {
    const originals = new Map<string, CatalogEntry>();
    const rank = ({ id }: CatalogEntry) => PLAIN_EXTENSIONS.indexOf(extname(id).slice(1));
    for (const entry of this.#entries.values()) {
      if (entry.kind !== 'image' || rank(entry) < 0) continue;
      const picture = entry.id.slice(0, -extname(entry.id).length);
      if (this.#entries.get(picture)?.kind !== 'liif') continue;
      const other = originals.get(picture);
      if (other === undefined || rank(entry) < rank(other)) originals.set(picture, entry);
    }
    return originals;
  }
}
