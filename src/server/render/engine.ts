import { choiceFile } from '../../engine/choice-file.ts';
import type { Engine } from '../../engine/engine.ts';
import { openEngine } from '../../engine/open-engine.ts';
import { releasedModel } from '../../model/released-model.ts';
import type { Model } from '../../network/model.ts';
import type { Config } from '../config.ts';

/** Decoding has what the event loop leaves of the processors: the loop has to be on time, and the more often it is late, the less it hands on. */
const NICENESS = 15;

/** The engine that the settings name, with this model or the released one. Tiles are the same on every server, so it has to be exact. */
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
