import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { cpus, homedir } from 'node:os';
import { isAbsolute, join } from 'node:path';
import { writeAtomically } from '../image/atomic-file.ts';
import { makeDirectory } from '../make-directory.ts';
import type { Model } from '../network/model.ts';
import { VERSION } from '../version.ts';
import type { Choice, ChoiceMemory } from './auto.ts';
import type { EngineName } from './engine.ts';
import { processors } from './processors.ts';

const NAMES: readonly EngineName[] = ['reference', 'wasm', 'webgpu', 'tensorflow'];
/** Older entries are dropped when one is added. */
const MOST_ENTRIES = 32;
/** Older choices do not count: drivers change. */
const KEPT_DAYS = 30;

interface Entry extends Choice {
  readonly measured: string;
}

/**
 * Keeps choices in `engines.json` in the user's cache directory, one for each machine, version and model. A
 * file that is missing or damaged counts as empty. Undefined where there is no such directory.
 */
export function choiceFile(directory: string | undefined = cacheDirectory()): ChoiceMemory | undefined {
  if (directory === undefined) return undefined;
  const path = join(directory, 'engines.json');
  return {
    async recall(model) {
      const key = keyOf(model);
      const entry = (await read(path)).find(([other]) => other === key)?.[1];
      if (!entry) return undefined;
      // Either way: a clock that was wrong leaves a day in the future.
      const distance = Math.abs(Date.now() - Date.parse(entry.measured));
      if (distance > KEPT_DAYS * 86_400_000) return undefined;
      const { engine, device } = entry;
      return device === undefined ? { engine } : { engine, device };
    },
    async remember(model, choice) {
      const key = keyOf(model);
      const others = (await read(path)).filter(([other]) => other !== key);
      const entries = Object.fromEntries([
        ...others.slice(1 - MOST_ENTRIES),
        [key, { ...choice, measured: new Date().toISOString() }],
      ]);
      const text = `${JSON.stringify(entries, null, 2)}\n`;
      try {
        await makeDirectory(directory);
        await writeAtomically(path, (file) => file.write(Buffer.from(text)));
      } catch {
        // A read-only home, say: the next process measures again.
      }
    },
  };
}

/**
 * `liif` in the system's directory for caches of this user. Undefined for a user without a home, as in
 * containers: nothing is to be left in the current folder.
 */
export function cacheDirectory(
  environment: NodeJS.ProcessEnv = process.env,
  homeOf: () => string = homedir,
): string | undefined {
  const { XDG_CACHE_HOME: caches = '' } = environment;
  // The XDG specification has relative paths ignored.
  if (isAbsolute(caches)) return join(caches, 'liif');
  let home: string;
  try {
    home = homeOf();
  } catch {
    return undefined;
  }
  if (!isAbsolute(home)) return undefined;
  if (process.platform === 'darwin') return join(home, 'Library', 'Caches', 'liif');
  if (process.platform === 'win32')
    return join(environment.LOCALAPPDATA ?? join(home, 'AppData', 'Local'), 'liif', 'Cache');
  return join(home, '.cache', 'liif');
}

/** All that decides speed and is known without starting an engine. */
function keyOf(model: Model): string {
  const processor = cpus()[0]?.model.trim() ?? 'unknown';
  return [
    `liif ${VERSION}`,
    `Node ${process.versions.node}`,
    `${process.platform} ${process.arch}`,
    `${processors()} x ${processor}`,
    // Installing webgpu, or naming another adapter, changes the engines to choose from.
    `webgpu ${isInstalled('webgpu') ? (process.env.LIIF_GPU ?? 'installed') : 'not installed'}`,
    model.hash.slice(0, 16),
  ].join(', ');
}

function isInstalled(name: string): boolean {
  try {
    createRequire(import.meta.url).resolve(name);
    return true;
  } catch {
    return false;
  }
}

async function read(path: string): Promise<[string, Entry][]> {
  try {
    const value: unknown = JSON.parse(await readFile(path, 'utf8'));
    return Object.entries(value as object).filter((entry): entry is [string, Entry] => isEntry(entry[1]));
  } catch {
    return [];
  }
}

function isEntry(value: unknown): value is Entry {
  const { engine, device, measured } = (value ?? {}) as Record<string, unknown>;
  return (
    NAMES.some((name) => name === engine) &&
    (device === undefined || typeof device === 'string') &&
    typeof measured === 'string' &&
    !Number.isNaN(Date.parse(measured))
  );
}
