import { readFile } from 'node:fs/promises';
import { type Command, Option } from 'commander';
import type { Engine, EngineName } from '../engine/engine.ts';
import { EngineError } from '../errors.ts';
import { loadModel } from '../network/load.ts';
import { wholeNumber } from './values.ts';

export interface EngineOptions {
  readonly engine: 'auto' | EngineName;
  readonly threads?: number;
}

export function addEngineOptions(command: Command): Command {
  return command
    .addOption(
      new Option('--engine <name>', 'what computes the networks')
        .choices(['auto', 'wasm', 'reference'])
        .default('auto'),
    )
    .addOption(
      new Option('--threads <n>', 'threads of the engine (default: one per processor)').argParser(
        wholeNumber(1, 256),
      ),
    );
}

/** Rejects with EngineError when the engine that was asked for is not there. */
export async function openCommandEngine({ engine }: EngineOptions): Promise<Engine> {
  if (engine !== 'auto' && engine !== 'reference')
    throw new EngineError(
      `The engine ${engine} is not available here; leave --engine out, or take reference`,
    );
  const { openReferenceEngine } = await import('../engine/reference/reference-engine.ts');
  return openReferenceEngine(
    await loadModel(await readFile(new URL('../model/liif-1.safetensors', import.meta.url))),
  );
}
