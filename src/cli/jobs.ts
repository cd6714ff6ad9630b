import { existsSync, statSync } from 'node:fs';
import { basename, dirname, extname, join } from 'node:path';
import { RequestError } from '../errors.ts';
import { isSameFile } from '../image/same-file.ts';
import { isUrl, placeOf, STANDARD } from './inputs.ts';
import { makeFolder } from './make-folder.ts';

export interface Job {
  readonly input: string;
  /** A path, or `-`. */
  readonly output: string;
}

/** Endings of pictures and images. */
export const PICTURE_ENDING = /\.(liif|jpe?g|png|webp|avif|hei[cf]|tiff?|gif|svg|raw)$/i;

/**
 * Decides where every output goes before anything is computed, and makes the folder. `output` is a file, a
 * folder or `-`; without it, each output lies beside its input. Outputs in a folder or beside inputs have the
 * input's name with `ending`. Rejects with RequestError where outputs clash, and with OutputError where the
 * folder cannot be made.
 */
export async function planJobs(
  inputs: readonly string[],
  output: string | undefined,
  ending: string,
): Promise<Job[]> {
  const folder = folderFor(inputs, output);
  if (output === STANDARD && inputs.length > 1)
    throw new RequestError('Only one picture fits into standard output; give one input, or a folder with -o');
  const jobs = inputs.map((input): Job => {
    if (folder !== undefined) return { input, output: join(folder, nameOf(input) + ending) };
    if (output !== undefined || input === STANDARD) return { input, output: output ?? STANDARD };
    return { input, output: join(dirname(input), nameOf(input) + ending) };
  });
  await expectApart(jobs);
  if (folder !== undefined) await makeFolder(folder);
  return jobs;
}

export function isFolder(path: string): boolean {
  return /[/\\]$/.test(path) || (existsSync(path) && statSync(path).isDirectory());
}

/** The folder that `output` names or has to be; undefined where it is a file, standard output or missing. */
function folderFor(inputs: readonly string[], output: string | undefined): string | undefined {
  if (output === undefined || output === STANDARD) return undefined;
  if (isFolder(output)) return output;
  if (inputs.length === 1) return undefined;
  if (existsSync(output))
    throw new RequestError(`${output}: several inputs need a folder as output, and this is a file`);
  if (PICTURE_ENDING.test(output))
    throw new RequestError(
      `${output}: several inputs need a folder as output, and this is named like a file; for a folder write ${output}/`,
    );
  return output;
}

/** Name of an input's file without its ending. */
function nameOf(input: string): string {
  if (input === STANDARD)
    throw new RequestError('Standard input has no name; give a file with -o, not a folder');
  const path = isUrl(input) ? pathOfUrl(input) : input;
  const name = basename(path, extname(path));
  if (name === '') throw new RequestError(`${input}: names no file; give one with -o, not a folder`);
  return name;
}

function pathOfUrl(url: string): string {
  const { pathname } = URL.canParse(url) ? new URL(url) : { pathname: '' };
  try {
    return decodeURIComponent(pathname);
  } catch {
    return pathname; // a % that encodes nothing
  }
}

/**
 * Rejects with RequestError where an output would replace another one or its input, or where it is a
 * terminal.
 */
async function expectApart(jobs: readonly Job[]): Promise<void> {
  const taken = new Map<string, string>();
  for (const { input, output } of jobs) {
    if (output === STANDARD) {
      if (process.stdout.isTTY)
        throw new RequestError('Not writing a picture to the terminal; name a file with -o, or pipe it on');
      continue;
    }
    const place = placeOf(output);
    const other = taken.get(place);
    if (other !== undefined)
      throw new RequestError(
        `${other} and ${input} would both become ${output}; name their outputs one by one with -o`,
      );
    taken.set(place, input);
    if (await isSameFile(input, output))
      throw new RequestError(`${output}: is the input; name another file with -o`);
  }
}
