import { randomBytes } from 'node:crypto';
import { createReadStream, createWriteStream, fsync, rmSync, type Stats } from 'node:fs';
import { chmod, type FileHandle, link, open, readlink, realpath, rename, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { promisify } from 'node:util';
import { OutputError } from './errors.ts';

/** Temporary files that an exit in the midst of things would leave behind. */
const unfinished = new Set<string>();
let cleansOnExit = false;
/** The `sync` of file handles is missing under Yarn's Plug'n'Play. */
const sync = promisify(fsync);
/** As many as Linux follows. */
const MAX_LINKS = 40;

/**
 * A file that appears under its name when it is complete, or not at all: it is written under a temporary name
 * in the same folder and renamed by `commit`. Links stay links, wherever they lead. Devices and pipes cannot
 * be renamed to; `commit` copies into them. Fits the encoder's `Sink`.
 */
export class AtomicFile {
  /** Where it will be. */
  readonly path: string;
  /** Where it is written; another program may write there, too, between `open` and `commit`. */
  readonly temporary: string;
  /** What had the name when this file was opened. */
  readonly #found: Stats | undefined;
  #handle: FileHandle | undefined;
  #length = 0;

  private constructor(path: string, temporary: string, handle: FileHandle, found: Stats | undefined) {
    this.path = path;
    this.temporary = temporary;
    this.#handle = handle;
    this.#found = found;
  }

  /**
   * Rejects with OutputError when nothing can be written there; an existing file stays as it is until
   * `commit`.
   */
  static async open(path: string): Promise<AtomicFile> {
    const found = await stat(path).catch((error: unknown) => {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
      throw unwritable(path, error);
    });
    if (found?.isDirectory()) throw new OutputError(`${path}: cannot be written: is a directory`);
    // Pipes behind links, such as /dev/stdout, have no path of their own.
    const target = isSpecial(found) ? path : await linkedFrom(path);
    const { temporary, handle } = await openTemporary(isSpecial(found) ? tmpdir() : dirname(target), path);
    return new AtomicFile(target, temporary, handle, found);
  }

  /**
   * A file in a folder that `abort` removes and that gets no other name, for bytes on their way. Rejects with
   * OutputError.
   */
  static async temporary(folder: string): Promise<AtomicFile> {
    const { temporary, handle } = await openTemporary(folder, folder);
    return new AtomicFile(folder, temporary, handle, undefined);
  }

  /** Appends. */
  async write(bytes: Uint8Array): Promise<void> {
    await this.writeAt(this.#length, bytes);
    this.#length += bytes.length;
  }

  async writeAt(byteOffset: number, bytes: Uint8Array): Promise<void> {
    try {
      for (let done = 0; done < bytes.length; ) {
        const { bytesWritten } = await this.#handle!.write(
          bytes,
          done,
          bytes.length - done,
          byteOffset + done,
        );
        done += bytesWritten;
      }
    } catch (error) {
      throw unwritable(this.path, error);
    }
  }

  /** Gives the file its name; whatever had it is gone. Resolves with its size in bytes. */
  async commit(): Promise<number> {
    try {
      const size = await this.#finish();
      if (isSpecial(this.#found)) {
        await pipeline(createReadStream(this.temporary), createWriteStream(this.path));
        await rm(this.temporary, { force: true });
      } else {
        if (this.#found) await chmod(this.temporary, this.#found.mode & 0o7777);
        await replaceFile(this.temporary, this.path);
      }
      unfinished.delete(this.temporary);
      return size;
    } catch (error) {
      await this.abort();
      throw unwritable(this.path, error);
    }
  }

  /**
   * Gives the file the name `path`, of the folder where it is to be, unless something has that. Resolves with
   * whether it did; where not, it may be called again with another name.
   */
  async commitNew(path: string): Promise<boolean> {
    try {
      await this.#finish();
      if (!(await renameToNew(this.temporary, path))) return false;
      unfinished.delete(this.temporary);
      return true;
    } catch (error) {
      await this.abort();
      throw unwritable(path, error);
    }
  }

  /** Puts what was written on the disk. Resolves with its size in bytes. */
  async #finish(): Promise<number> {
    const handle = this.#handle;
    if (handle === undefined) return (await stat(this.temporary)).size;
    const { size } = await handle.stat();
    await sync(handle.fd);
    await handle.close();
    this.#handle = undefined;
    return size;
  }

  /** Leaves everything as it was before `open`. */
  async abort(): Promise<void> {
    await this.#handle?.close().catch(() => {});
    this.#handle = undefined;
    await rm(this.temporary, { force: true }).catch(() => {});
    unfinished.delete(this.temporary);
  }
}

/** Runs `work` on an atomic file: committed when it resolves, undone when it rejects. */
export async function writeAtomically<T>(
  path: string,
  work: (file: AtomicFile) => Promise<T>,
): Promise<{ readonly bytes: number; readonly result: T }> {
  const file = await AtomicFile.open(path);
  let result: T;
  try {
    result = await work(file);
  } catch (error) {
    await file.abort();
    throw error;
  }
  return { bytes: await file.commit(), result };
}

/**
 * Renames a file, and whatever had the name is gone. Windows refuses to replace a file that is open, as those
 * of a running server are, but moves it out of the way; for a moment nothing has the name then.
 */
export async function replaceFile(from: string, to: string): Promise<void> {
  try {
    await rename(from, to);
  } catch (refused) {
    const { code } = refused as NodeJS.ErrnoException;
    if (code !== 'EPERM' && code !== 'EACCES' && code !== 'EBUSY') throw refused;
    const old = `${from}.old`;
    try {
      if (!(await stat(to)).isFile()) throw refused;
      await rename(to, old);
    } catch {
      throw refused;
    }
    try {
      await rename(from, to);
    } catch (error) {
      await rename(old, to);
      throw error;
    }
    await rm(old, { force: true }).catch(() => {});
  }
}

/** Whether something is a device or a pipe, which a file cannot replace. */
function isSpecial(found: Stats | undefined): boolean {
  return found !== undefined && !found.isFile();
}

/** A new file of a folder, removed when the process exits. `path`: what messages call it. */
async function openTemporary(
  folder: string,
  path: string,
): Promise<{ readonly temporary: string; readonly handle: FileHandle }> {
  // A name of its own: that of the target may be as long as names can be.
  const temporary = join(folder, `.liif-${randomBytes(8).toString('hex')}.partial`);
  if (!cleansOnExit) {
    process.on('exit', removeUnfinished);
    cleansOnExit = true;
  }
  unfinished.add(temporary);
  try {
    return { temporary, handle: await open(temporary, 'wx+') };
  } catch (error) {
    unfinished.delete(temporary);
    throw unwritable(path, error);
  }
}

/** Whether a file of this name is one on its way to another. */
export function isTemporaryName(name: string): boolean {
  return /^\.liif-[0-9a-f]{16}\.partial$/.test(name);
}

/**
 * Renames a file to a name that nothing has: false where something has it, however lately. On file systems
 * without hard links an empty file has the name for a moment.
 */
async function renameToNew(from: string, to: string): Promise<boolean> {
  try {
    await link(from, to);
  } catch {
    return reserveAndRename(from, to); // where something has the name, that finds it, too
  }
  await rm(from, { force: true });
  return true;
}

async function reserveAndRename(from: string, to: string): Promise<boolean> {
  try {
    await (await open(to, 'wx')).close();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  }
  try {
    await replaceFile(from, to);
  } catch (error) {
    await rm(to, { force: true });
    throw error;
  }
  return true;
}

/** Where the file is, or will be, that a path leads to by links. */
async function linkedFrom(path: string): Promise<string> {
  let target = path;
  for (let links = 0; links < MAX_LINKS; links++) {
    try {
      return await realpath(target);
    } catch {
      // It does not exist yet: a link may lead there all the same.
    }
    try {
      target = resolve(await realpath(dirname(target)), await readlink(target));
    } catch {
      return target; // no link
    }
  }
  throw new OutputError(`${path}: cannot be written: too many links`);
}

function removeUnfinished(): void {
  for (const path of unfinished) rmSync(path, { force: true });
}

const REASONS: Readonly<Record<string, string>> = {
  ENOENT: 'the folder does not exist',
  ENOTDIR: 'a part of the path is not a folder',
  EACCES: 'permission denied',
  EPERM: 'permission denied',
  EBUSY: 'is in use',
  EROFS: 'the file system is read-only',
  ENOSPC: 'no space left on the device',
  EDQUOT: 'no space left in the quota',
  EISDIR: 'is a directory',
  ENAMETOOLONG: 'the name is too long',
};

/** `path`: what cannot be written, as messages call it. */
export function unwritable(path: string, error: unknown): OutputError {
  if (error instanceof OutputError) return error;
  const { code, message } = error as NodeJS.ErrnoException;
  return new OutputError(`${path}: cannot be written: ${REASONS[code ?? ''] ?? message}`, { cause: error });
}
