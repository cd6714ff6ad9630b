import { choiceFile } from '../../engine/choice-file.ts';
import type { Engine } from '../../engine/engine.ts';
import { openEngine } from '../../engine/open-engine.ts';
import { releasedModel } from '../../model/released-model.ts';
import type { Model } from '../../network/model.ts';
import type { Config } from '../config.ts';

/** Decoding takes the processor time that the event loop leaves: a late loop hands on less work. */
const NICENESS = 15;

/**
 * Opens the engine that the settings name, with this model or the released one. The engine has to be exact,
 * so that every server gives the same tiles.
 */
export async function openServerEngine(
  { engine, threads }: Pick<Config, 'engine' | 'threads'>,
  model?: Model,
): Promise<Engine> {
  return openEngine(model ?? (await releasedModel()), {
    engine,
    threads,
    niceness: NICENESS,
    apart: true,
    mustBeExact: true,
    memory: choiceFile(),
  });
}
