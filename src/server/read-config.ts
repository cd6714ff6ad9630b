import { readFile } from 'node:fs/promises';
import { RequestError } from '../errors.ts';
import { type Config, checkConfig } from './config.ts';
import { settings } from './settings.ts';

/**
 * Settings from a JSON file, the environment and flags, of which the later override the earlier. Rejects with
 * RequestError that names what is wrong.
 */
export async function readConfig(
  flags: Readonly<Record<string, unknown>>,
  environment: Readonly<Record<string, string | undefined>> = {},
  file?: string,
): Promise<Config> {
  const merged: Record<string, unknown> = file === undefined ? {} : await readConfigFile(file);
  const sources: Record<string, string> = {};
  for (const name of Object.keys(merged)) sources[name] = file!;
  const give = (name: string, value: unknown, source: string) => {
    merged[name] = value;
    sources[name] = source;
  };
  for (const { name, variable, flag } of settings()) {
    // Docker Compose and similar tools hand on variables that are not set as empty ones.
    if (environment[variable]) give(name, environment[variable], variable);
    if (flags[name] !== undefined) give(name, flags[name], flag);
  }
  return checkConfig(merged, sources);
}

/** Variables that other parts of the program read. */
const OTHER_VARIABLES = ['LIIF_GPU', 'LIIF_GPU_CHUNKS', 'LIIF_GPU_MATRICES'];

/** Names of variables that begin with `LIIF_` and are no settings. */
export function unknownVariables(environment: Readonly<Record<string, string | undefined>>): string[] {
  const known = new Set([...OTHER_VARIABLES, ...settings().map(({ variable }) => variable)]);
  return Object.keys(environment).filter(
    (name) => name.startsWith('LIIF_') && environment[name] !== '' && !known.has(name),
  );
}

async function readConfigFile(path: string): Promise<Record<string, unknown>> {
  let value: unknown;
  try {
    // Some editors begin a file with a byte order mark.
    value = JSON.parse((await readFile(path, 'utf8')).replace(/^\uFEFF/, ''));
  } catch (cause) {
    throw new RequestError(`${path}: ${(cause as Error).message}`, { cause });
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new RequestError(`${path}: expected a JSON object of settings`);
  return { ...value };
}
