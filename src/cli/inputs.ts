import { existsSync } from 'node:fs';
import { realpath } from 'node:fs/promises';
import { glob, isDynamicPattern } from 'tinyglobby';
import { RequestError, SourceError } from '../errors.ts';
import { fileSource } from '../reader/file-source.ts';
import { httpSource } from '../reader/http-source.ts';
import { memorySource } from '../reader/memory-source.ts';
import type { Source } from '../reader/source.ts';

/** As an argument: standard input or output. */
export const STANDARD = '-';
/** More than any picture needs, so that an endless pipe ends in a message. */
const MAX_STANDARD_INPUT = 2 ** 32 - 1;

/** Arguments with globs resolved (where the shell has not done it), in order, each file once. Throws SourceError when a glob finds nothing. */
export async function expandInputs(args: readonly string[]): Promise<string[]> {
  const found = new Set<string>();
  for (const arg of args) {
    if (arg === STANDARD || isUrl(arg) || existsSync(arg) || !isDynamicPattern(arg)) {
      found.add(arg);
      continue;
    }
    const paths = await glob(arg, { expandDirectories: false, dot: false, absolute: arg.startsWith('/') });
    if (paths.length === 0) throw new SourceError(`${arg}: no file matches`);
    for (const path of paths.sort()) found.add(path);
  }
  const inputs = [...found];
  if (inputs.length > 1 && inputs.includes(STANDARD))
    throw new RequestError('Standard input (-) cannot be combined with other inputs');
  return inputs;
}

export function isUrl(input: string): boolean {
  return /^https?:\/\//i.test(input);
}

/** Whether two paths lead to one file that exists. */
export async function isSameFile(a: string, b: string): Promise<boolean> {
  try {
    return (await realpath(a)) === (await realpath(b));
  } catch {
    return false; // one of them does not exist, or is no file
  }
}

/** How an input is called in messages. */
export function titleOf(input: string): string {
  return input === STANDARD ? 'standard input' : input;
}

/** A file, a URL or standard input as a source of a .liif file. */
export async function openSource(input: string, signal: AbortSignal): Promise<Source> {
  if (isUrl(input)) return httpSource(input);
  if (input === STANDARD) return memorySource(await readStandardInput(signal), titleOf(input));
  return fileSource(input);
}

export async function readStandardInput(signal: AbortSignal): Promise<Uint8Array> {
  if (process.stdin.isTTY)
    throw new RequestError('Nothing is piped into standard input; name a file, or pipe one in');
  const parts: Buffer[] = [];
  let length = 0;
  const stop = () => process.stdin.destroy(signal.reason);
  signal.addEventListener('abort', stop);
  try {
    for await (const part of process.stdin as AsyncIterable<Buffer>) {
      length += part.length;
      if (length > MAX_STANDARD_INPUT) throw new SourceError('standard input: more than 4 GiB');
      parts.push(part);
    }
  } catch (cause) {
    signal.throwIfAborted();
    if (cause instanceof SourceError) throw cause;
    throw new SourceError(`standard input: ${(cause as Error).message}`, { cause });
  } finally {
    signal.removeEventListener('abort', stop);
  }
  if (length === 0) throw new SourceError('standard input: is empty');
  return Buffer.concat(parts);
}
