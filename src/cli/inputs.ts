import { createReadStream, existsSync } from 'node:fs';
import { stat } from 'node:fs/promises';
import { normalize, parse, resolve } from 'node:path';
import type { Readable } from 'node:stream';
import { InvalidArgumentError } from 'commander';
import { glob, isDynamicPattern } from 'tinyglobby';
import { RequestError, SourceError } from '../errors.ts';
import { onAbort } from '../on-abort.ts';
import { fileSource } from '../reader/file-source.ts';
import { httpSource } from '../reader/http-source.ts';
import { memorySource } from '../reader/memory-source.ts';
import type { Source } from '../reader/source.ts';

/** As an argument: standard input or output. */
export const STANDARD = '-';
/** What the commands take that read .liif files, for their help. */
export const LIIF_INPUTS = '.liif files, globs or http(s) URLs, or - for standard input';
/** Its other names as an output. Results go to standard error when the image goes to any of them. */
const STANDARD_OUTPUTS: readonly string[] = ['/dev/stdout', '/dev/fd/1', '/proc/self/fd/1'];
/** Images of packages are no pictures of the user. */
export const IGNORED: readonly string[] = ['**/node_modules/**'];
/** Bytes that are read from a pipe at most, more than any picture has: an endless pipe ends in an error. */
const MAX_PIPED = 2 ** 32 - 1;

/**
 * Resolves globs that the shell has not resolved, and lists each file once, in the order of the arguments. A
 * glob that matches nothing stays in the list, to be reported as a missing file; as the only argument it is a
 * SourceError. Globs skip `node_modules` unless they name it. Rejects with RequestError for `-` among other
 * inputs.
 */
export async function expandInputs(args: readonly string[]): Promise<string[]> {
  const found = new Map<string, string>();
  const add = (input: string) => {
    const place = input === STANDARD || isUrl(input) ? input : placeOf(input);
    if (!found.has(place)) found.set(place, input);
  };
  for (const arg of args) {
    const pattern = patternOf(arg);
    if (arg === STANDARD || isUrl(arg) || existsSync(arg) || !isDynamicPattern(pattern)) {
      add(arg);
      continue;
    }
    // On Windows a pattern cannot name a drive.
    const { root } = parse(pattern);
    const matches = await glob(pattern.slice(root.length), {
      cwd: root,
      absolute: root !== '',
      expandDirectories: false,
      dot: false,
      ignore: pattern.includes('node_modules') ? [] : IGNORED,
      caseSensitiveMatch: process.platform !== 'win32',
    });
    const paths = matches.map((path) => normalize(path));
    if (paths.length === 0) {
      if (args.length === 1) throw new SourceError(`${arg}: no file matches`);
      paths.push(arg);
    }
    for (const path of paths.sort()) add(path);
  }
  const inputs = [...found.values()];
  if (inputs.length > 1 && inputs.includes(STANDARD))
    throw new RequestError('Standard input (-) cannot be combined with other inputs');
  return inputs;
}

/**
 * An argument as a pattern. On Windows `\` separates folders, and parentheses belong to names: `photo (1).jpg`.
 */
export function patternOf(arg: string, platform: NodeJS.Platform = process.platform): string {
  return platform === 'win32' ? arg.replaceAll('\\', '/').replaceAll(/[()]/g, '\\$&') : arg;
}

/**
 * An absolute path by which files are compared. On Windows it is in lower case, since names that differ in
 * case alone are one file.
 */
export function placeOf(path: string, platform: NodeJS.Platform = process.platform): string {
  return platform === 'win32' ? resolve(path).toLowerCase() : resolve(path);
}

export function isUrl(input: string): boolean {
  return /^https?:\/\//i.test(input);
}

/** Name of an input in messages. */
export function titleOf(input: string): string {
  return input === STANDARD ? 'standard input' : input;
}

/** Name of an output in messages. */
export function outputTitleOf(output: string): string {
  return output === STANDARD ? 'standard output' : output;
}

/** A file, a URL or standard input as a source of a .liif file. `piped`: what `pipedBytes` has read of it. */
export async function openSource(input: string, signal: AbortSignal, piped?: Uint8Array): Promise<Source> {
  if (isUrl(input)) return httpSource(input);
  const bytes = piped ?? (await pipedBytes(input, signal));
  return bytes ? memorySource(bytes, titleOf(input)) : fileSource(input);
}

/**
 * All bytes of standard input or of a named pipe, such as `<(curl ...)` of a shell. Undefined for a file,
 * which need not be read as a whole.
 */
export async function pipedBytes(input: string, signal: AbortSignal): Promise<Uint8Array | undefined> {
  if (input !== STANDARD) {
    const isPipe = await stat(input).then(
      (found) => found.isFIFO(),
      () => false, // opening the file will say why
    );
    return isPipe ? readStream(createReadStream(input), input, signal) : undefined;
  }
  if (process.stdin.isTTY)
    throw new RequestError('Nothing is piped into standard input; name a file, or pipe one in');
  return readStream(process.stdin, titleOf(input), signal);
}

async function readStream(stream: Readable, title: string, signal: AbortSignal): Promise<Uint8Array> {
  const parts: Buffer[] = [];
  let length = 0;
  const forget = onAbort(signal, () => stream.destroy(signal.reason));
  try {
    for await (const part of stream as AsyncIterable<Buffer>) {
      length += part.length;
      if (length > MAX_PIPED) throw new SourceError(`${title}: more than 4 GiB`);
      parts.push(part);
    }
  } catch (cause) {
    signal.throwIfAborted();
    if (cause instanceof SourceError) throw cause;
    throw new SourceError(`${title}: ${(cause as Error).message}`, { cause });
  } finally {
    forget();
  }
  return Buffer.concat(parts);
}

/** Parses the path of `-o`; every name of standard output becomes `-`. Throws InvalidArgumentError. */
export function outputPath(text: string): string {
  if (text === '') throw new InvalidArgumentError('Expected a path.');
  return STANDARD_OUTPUTS.includes(text) ? STANDARD : text;
}
