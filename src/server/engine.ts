import { readFile } from 'node:fs/promises';
import { choiceFile } from '../engine/choice-file.ts';
import type { Engine } from '../engine/engine.ts';
import { openEngine } from '../engine/open-engine.ts';
import { loadModel } from '../network/load.ts';
import type { Config } from './config.ts';

/** The engine that the settings name, with the released model. Tiles are the same on every server, so it has to be exact. */
export async function openServerEngine({
  engine,
  threads,
}: Pick<Config, 'engine' | 'threads'>): Promise<Engine> {
  const model = await loadModel(await readFile(new URL('../model/liif-1.safetensors', import.meta.url)));
  return openEngine(model, { engine, threads, mustBeExact: true, memory: choiceFile() });
}
