import { createReadStream, existsSync } from 'node:fs';
import { readdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { RequestError } from '../errors.ts';
import { writeAtomically } from '../image/atomic-file.ts';
import { makeFolder } from './make-folder.ts';

const PAGE = 'index.html';

/**
 * Lists the files of the page in the folder, whose names change with every version. A page without this list
 * is not the viewer's.
 */
const OWN_FILES = 'viewer.json';

/** The folder of the built viewer. Throws RequestError where it is not built. */
export function builtViewer(): string {
  const folder = ['../viewer', '../../dist/viewer']
    .map((path) => fileURLToPath(new URL(path, import.meta.url)))
    .find((path) => existsSync(join(path, PAGE)) && existsSync(join(path, 'assets')));
  if (folder === undefined) throw new RequestError('The viewer is not built; run npm run build:viewer');
  return folder;
}

/** Throws RequestError where a folder has a page that is not the viewer's. */
export function expectOwnPage(output: string): void {
  if (existsSync(join(output, PAGE)) && !existsSync(join(output, OWN_FILES)))
    throw new RequestError(
      `${output}: has a page that is not the viewer's; name another folder, or remove its ${PAGE}`,
    );
}

/** Copies the page from the built viewer, and removes files of an earlier version. */
export async function replacePage(viewer: string, output: string, signal: AbortSignal): Promise<void> {
  const names = await readdir(join(viewer, 'assets'));
  const assets = names.sort().map((name) => `assets/${name}`);
  const earlier = await ownFiles(output);
  const list = (listed: readonly string[]) =>
    put(join(output, OWN_FILES), jsonText({ version: 1, files: listed }));
  // Before the page, so that a page is known as the viewer's even if copying it is interrupted.
  await list([...new Set([...earlier, ...assets])]);
  await makeFolder(join(output, 'assets'));
  for (const path of assets) await copy(join(viewer, path), join(output, path), signal);
  // After the files that the page asks for.
  await copy(join(viewer, 'files', PAGE), join(output, PAGE), signal);
  const gone = earlier.filter((path) => !assets.includes(path));
  for (const path of gone) await rm(join(output, path), { force: true });
  await list(assets);
}

/** Replaces a file at once: a host that serves the folder never sends a part of the new file. */
export async function put(path: string, content: string | Uint8Array): Promise<void> {
  await writeAtomically(path, (file) =>
    file.write(typeof content === 'string' ? Buffer.from(content) : content),
  );
}

/** `put` with the bytes of another file. */
export async function copy(from: string, to: string, signal: AbortSignal): Promise<void> {
  await writeAtomically(to, async (file) => {
    for await (const part of createReadStream(from, { signal })) await file.write(part as Buffer);
  });
}

export function jsonText(value: unknown): string {
  return `${JSON.stringify(value, null, 1)}\n`;
}

/**
 * The files that an earlier call listed, none where the list is missing or damaged. Paths that lead out of
 * `assets` are ignored.
 */
async function ownFiles(output: string): Promise<string[]> {
  try {
    const { files } = JSON.parse(await readFile(join(output, OWN_FILES), 'utf8')) as { files: unknown[] };
    return files.filter(
      (path): path is string => typeof path === 'string' && /^assets\/\w[\w.-]*$/.test(path),
    );
  } catch {
    return [];
  }
}
