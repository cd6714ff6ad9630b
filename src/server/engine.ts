import { readFile } from 'node:fs/promises';
import type { Engine } from '../engine/engine.ts';
import { openReferenceEngine } from '../engine/reference/reference-engine.ts';
import { loadModel } from '../network/load.ts';
import type { Config } from './config.ts';

/** The engine that the settings name, with the released model. */
export async function openServerEngine(_config: Pick<Config, 'engine' | 'threads'>): Promise<Engine> {
  const bytes = await readFile(new URL('../model/liif-1.safetensors', import.meta.url));
  return openReferenceEngine(await loadModel(bytes));
}
