import type { Stats } from 'node:fs';
import { lstat, opendir, realpath, stat } from 'node:fs/promises';
import { basename, extname, join, sep } from 'node:path';
import { orderOf } from '../../natural-order.ts';
import { inParallel } from '../../parallel.ts';
import { PLAIN_EXTENSIONS } from './plain-picture.ts';
import { identityOf } from './root-watch.ts';

/** A file of the catalog, as it was when it was last looked at. */
export interface CatalogEntry {
  /** Path below its root, `/` between parts, without `.liif`. */
  readonly id: string;
  readonly title: string;
  /** What it is sorted by. */
  readonly order: string;
  /** What it is found by: id and title, `folded`. */
  readonly searched: string;
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

/** A name in which letters count, and neither their case nor how they are composed. */
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
  /** Whether it holds until the directory changes: not where files are links, as what they lead to may change, nor where it could not be read. */
  readonly lasting: boolean;
}

export interface ListingOptions {
  /** Real path of the directory that all of it must stay in. */
  readonly root: string;
  readonly plain: boolean;
  readonly onWarning: (message: string) => void;
}

const PACKAGES = 'node_modules';
/** What systems say of a directory that has gone, or that is not for us. Whatever else they say passes, such as too many open files, and tells nothing of what it holds. */
const NOTHING_THERE = ['ENOENT', 'ENOTDIR', 'EACCES', 'EPERM'];
/** Files that are looked at side by side; the system is asked by few threads, which encoders share. */
const LOOKS = 4;

/**
 * Reads a directory, without what lies in its directories. Names that begin with a dot are left out, and so are directories of packages and links to directories or out of the
 * root. One that has gone or may not be read holds nothing. Rejects where the system cannot read it just now.
 */
export async function readListing({ path, name }: FoundFile, options: ListingOptions): Promise<Listing> {
  const files: FoundFile[] = [];
  const found: FoundFile[] = [];
  let lasting = true;
  try {
    for await (const entry of await opendir(path)) {
      if (entry.name.startsWith('.') || /[\\\p{Cc}]/u.test(entry.name)) continue;
      const file = { path: join(path, entry.name), name: name === '' ? entry.name : `${name}/${entry.name}` };
      // Linked directories inside the root have names of their own there, and might go in circles.
      if (entry.isDirectory()) {
        // What lies there belongs to programs.
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
    // It may have been removed meanwhile.
    if (code !== 'ENOENT' && code !== 'ENOTDIR') options.onWarning(`${path} cannot be read (${code})`);
  }
  const directories: Subdirectory[] = [];
  for (const directory of found) {
    // Node 20 on Windows has called links directories.
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
  // The end of a word may fold otherwise where more follows.
  return long.includes(short) ? long : `${long}\n${short}`;
}

function kindOf(extension: string): CatalogEntry['kind'] | undefined {
  const name = extension.slice(1).toLowerCase();
  if (name === 'liif') return 'liif';
  return (PLAIN_EXTENSIONS as readonly string[]).includes(name) ? 'image' : undefined;
}

/** The real path of a link, or undefined where it leads out of the root. */
async function inside(
  { path, name }: FoundFile,
  { root, onWarning }: ListingOptions,
): Promise<string | undefined> {
  let real: string;
  try {
    real = await realpath(path);
  } catch {
    return undefined;
  }
  if (real === root || real.startsWith(root.endsWith(sep) ? root : root + sep)) return real;
  onWarning(`${name}: a link that leads out of its directory is not served`);
  return undefined;
}
