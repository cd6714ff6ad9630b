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
/** Its other names. What goes to standard output by any of them is told of on standard error. */
const STANDARD_OUTPUTS: readonly string[] = ['/dev/stdout', '/dev/fd/1', '/proc/self/fd/1'];
/** Icons of packages are nobody's pictures. */
export const IGNORED: readonly string[] = ['**/node_modules/**'];
/** More than any picture needs, so that an endless pipe ends in a message. */
const MAX_PIPED = 2 ** 32 - 1;

/**
 * Arguments with globs resolved (where the shell has not done it), in order, each file once. A glob that finds nothing
 * stays what it is, to be reported like a file that is missing; alone, it throws SourceError. Files below `node_modules` are for globs that name it.
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
    // Patterns lead to no other drive.
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

/** Of a glob. On Windows `\` separates, and parentheses are parts of names: `photo (1).jpg`. */
export function patternOf(arg: string, platform: NodeJS.Platform = process.platform): string {
  return platform === 'win32' ? arg.replaceAll('\\', '/').replaceAll(/[()]/g, '\\$&') : arg;
}

/** The same for all paths of a file; on Windows, for names that differ in case alone. */
export function placeOf(path: string, platform: NodeJS.Platform = process.platform): string {
  return platform === 'win32' ? resolve(path).toLowerCase() : resolve(path);
}

export function isUrl(input: string): boolean {
  return /^https?:\/\//i.test(input);
}

/** How an input is called in messages. */
export function titleOf(input: string): string {
  return input === STANDARD ? 'standard input' : input;
}

/** A file, a URL or standard input as a source of a .liif file. */
export async function openSource(input: string, signal: AbortSignal): Promise<Source> {
  if (isUrl(input)) return httpSource(input);
  const piped = await pipedBytes(input, signal);
  return piped ? memorySource(piped, titleOf(input)) : fileSource(input);
}

/** All that comes through standard input or a named pipe, e.g. `<(curl ...)` of a shell; undefined for files, which need not be read as a whole. */
export async function pipedBytes(input: string, signal: AbortSignal): Promise<Uint8Array | undefined> {
  if (input !== STANDARD) {
    const isPipe = await stat(input).then(
      (found) => found.isFIFO(),
      () => false, // whoever opens it tells why it cannot be
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

/** A path for `-o`, `-` for every name of standard output. Throws what commander expects of a parser. */
export function outputPath(text: string): string {
  if (text === '') throw new InvalidArgumentError('Expected a path.');
  return STANDARD_OUTPUTS.includes(text) ? STANDARD : text;
}
