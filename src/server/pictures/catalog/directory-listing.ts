import type { Stats } from 'node:fs';
import { lstat, opendir, realpath, stat } from 'node:fs/promises';
import { basename, extname, join, sep } from 'node:path';
import { inParallel } from '../../../parallel.ts';
import { PLAIN_EXTENSIONS } from '../plain/plain-picture.ts';
import { orderOf } from './natural-order.ts';
import { identityOf } from './root-watch.ts';

/** A file of the catalog, as it was when it was last looked at. */
export interface CatalogEntry {
  /** Path below its root, `/` between parts, without `.liif`. */
  readonly id: string;
  readonly title: string;
  /** Sort key, of `orderOf`. */
  readonly order: string;
  /** Text that searches look in: id and title, `folded`. */
  readonly searched: string;
  readonly kind: 'liif' | 'image';
  /** Real path. */
  readonly path: string;
  /** Real path of the directory that it must stay in. */
  readonly root: string;
  /** Of `stampOf`: changes whenever the file does. */
  readonly stamp: string;
  /** When it was looked at, by `performance.now()`. */
  readonly lookedAt: number;
}

/**
 * Tells one file at a path from the next. The time alone does not: a replacement may have that of the old
 * file.
 */
export function stampOf({ ino, size, mtimeMs }: Stats): string {
  return `${ino}/${size}/${mtimeMs}`;
}

/** A name without differences of case and of Unicode composition. */
export function folded(name: string): string {
  return name.normalize().toLowerCase();
}

export interface FoundFile {
  /** Real path. */
  readonly path: string;
  /** Path below the root. */
  readonly name: string;
}

export interface Subdirectory extends FoundFile {
  readonly identity: string;
}

/** What a directory holds. */
export interface Listing {
  /** In the order of their ids. */
  readonly pictures: readonly CatalogEntry[];
  readonly directories: readonly Subdirectory[];
  /**
   * Whether the listing is valid until the directory changes. It is not if files are links, whose targets may
   * change, or if the directory could not be read.
   */
  readonly lasting: boolean;
}

export interface ListingOptions {
  /** Real path of the directory that all of it must stay in. */
  readonly root: string;
  readonly plain: boolean;
  readonly onWarning: (message: string) => void;
}

const PACKAGES = 'node_modules';
/**
 * Errors of a directory that is gone or forbidden. All others, such as too many open files, are temporary and
 * say nothing of what the directory holds.
 */
const NOTHING_THERE = ['ENOENT', 'ENOTDIR', 'EACCES', 'EPERM'];
/** Files that are looked at side by side. Node asks the system on few threads, which image encoders share. */
const LOOKS = 4;

/**
 * Reads a directory without its subdirectories. Left out are names that begin with a dot, `node_modules`, and
 * links to directories or out of the root. A directory that is gone or forbidden holds nothing. Rejects if
 * the system cannot read it at the moment.
 */
export async function readListing({ path, name }: FoundFile, options: ListingOptions): Promise<Listing> {
  const files: FoundFile[] = [];
  const found: FoundFile[] = [];
  let lasting = true;
  try {
    for await (const entry of await opendir(path)) {
      if (entry.name.startsWith('.') || /[\\\p{Cc}]/u.test(entry.name)) continue;
      const file = { path: join(path, entry.name), name: name === '' ? entry.name : `${name}/${entry.name}` };
      // A link to a directory inside the root would give its pictures a second name, and might go in circles.
      if (entry.isDirectory()) {
        // Images of installed packages are no pictures of the user.
        if (entry.name !== PACKAGES) found.push(file);
      } else if (!entry.isSymbolicLink()) files.push(file);
      else {
        lasting = false;
        const real = await inside(file, options);
        if (real !== undefined) files.push({ ...file, path: real });
      }
    }
  } catch (error) {
    lasting = false;
    const { code = '' } = error as NodeJS.ErrnoException;
    if (!NOTHING_THERE.includes(code)) throw error;
    // A directory that was removed meanwhile needs no warning.
    if (code !== 'ENOENT' && code !== 'ENOTDIR') options.onWarning(`${path} cannot be read (${code})`);
  }
  const directories: Subdirectory[] = [];
  for (const directory of found) {
    // Node 20 on Windows reports links as directories.
    const stats = await lstat(directory.path).catch(() => undefined);
    if (stats?.isDirectory()) directories.push({ ...directory, identity: identityOf(stats) });
  }
  return { pictures: await picturesOf(files, options), directories, lasting };
}

/** Those of the files that are pictures, in the order of their ids. */
export async function picturesOf(
  files: readonly FoundFile[],
  { root, plain }: Pick<ListingOptions, 'root' | 'plain'>,
): Promise<CatalogEntry[]> {
  const pictures: CatalogEntry[] = [];
  await inParallel(LOOKS, files, async ({ path, name }) => {
    const extension = extname(name);
    const kind = kindOf(extension);
    if (kind === undefined || (kind === 'image' && !plain)) return;
    const stats = await stat(path).catch(() => undefined);
    if (!stats?.isFile()) return;
    const id = kind === 'liif' ? name.slice(0, -extension.length) : name;
    const title = basename(name, extension);
    pictures.push({
      id,
      order: orderOf(id),
      searched: searchedBy(id, title),
      title,
      kind,
      path,
      root,
      stamp: stampOf(stats),
      lookedAt: performance.now(),
    });
  });
  return pictures.sort((a, b) => ((a.id === b.id ? a.path < b.path : a.id < b.id) ? -1 : 1));
}

function searchedBy(id: string, title: string): string {
  const [long, short] = [folded(id), folded(title)];
  // Folding looks at what follows: a sigma that ends the title becomes another letter where the id goes on.
  return long.includes(short) ? long : `${long}\n${short}`;
}

function kindOf(extension: string): CatalogEntry['kind'] | undefined {
  const name = extension.slice(1).toLowerCase();
  if (name === 'liif') return 'liif';
  return PLAIN_EXTENSIONS.includes(name) ? 'image' : undefined;
}

/** Whether a real path lies in a directory. */
export function isBelow(directory: string, path: string): boolean {
  return path.startsWith(directory.endsWith(sep) ? directory : directory + sep);
}

/** The real path of a link, or undefined where it leads out of the root. */
async function inside(
  { path, name }: FoundFile,
  { root, onWarning }: ListingOptions,
): Promise<string | undefined> {
  const real = await realpath(path).catch(() => undefined);
  if (real === undefined || real === root || isBelow(root, real)) return real;
  onWarning(`${name}: a link that leads out of its directory is not served`);
  return undefined;
}
