import { type Command, InvalidArgumentError, Option } from 'commander';
import { choiceFile } from '../engine/choice-file.ts';
import type { Engine } from '../engine/engine.ts';
import { ENGINE_CHOICES, type EngineChoice, openEngine } from '../engine/open-engine.ts';
import { readModel } from '../model/model-file.ts';
import { releasedModel } from '../model/released-model.ts';
import type { Model } from '../network/model.ts';
import { interruption } from './interruption.ts';
import { collected, wholeNumber } from './values.ts';

export interface EngineOptions {
  readonly engine: EngineChoice;
  readonly threads?: number;
}

/** `model`: the command's `--model` option. */
export function addEngineOptions(command: Command, model: Option): Command {
  return addThreadsAndModel(
    command
      .optionsGroup(ENGINE_GROUP)
      .addOption(
        new Option('--engine <name>', 'what computes the networks').choices(ENGINE_CHOICES).default('auto'),
      ),
    model,
  );
}

/** For commands that measure several engines. */
export function addThreadsAndModel(command: Command, model: Option): Command {
  return command
    .optionsGroup(ENGINE_GROUP)
    .addOption(
      new Option('--threads <n>', 'threads of the engine')
        .argParser(wholeNumber(1, 256))
        .default(undefined, 'one per processor'),
    )
    .addOption(model);
}

const ENGINE_GROUP = 'Engine options:';

/** Of commands that compute with one model. */
export interface ModelOption {
  readonly model?: string;
}

/** `use`: what the weights are for, e.g. `to measure with`. */
export function modelOption(use: string): Option {
  return new Option('--model <file>', `weights ${use}`)
    .argParser(once)
    .default(undefined, 'the released weights');
}

function once(file: string, before: string | undefined): string {
  if (before !== undefined) throw new InvalidArgumentError(`Expected one model; ${before} is another.`);
  return file;
}

/** For commands whose pictures may name several models. */
export function modelsOption(): Option {
  return new Option('--model <file>', 'further weights that pictures may need; may be repeated').argParser(
    collected,
  );
}

/** The model of `--model`, or the released one. Rejects as `readModel` does. */
export function commandModel({ model }: ModelOption): Promise<Model> {
  return model === undefined ? releasedModel() : readModel(model, interruption());
}

/**
 * Opens the engine of `--engine` with `model`, by default the released one, and warns on standard error where
 * it is slow or approximate. Rejects with UnsupportedError or EngineError where that engine does not run
 * here.
 */
export async function openCommandEngine({ engine, threads }: EngineOptions, model?: Model): Promise<Engine> {
  const opened = await openEngine(model ?? (await releasedModel()), {
    engine,
    memory: choiceFile(),
    signal: interruption(),
    ...(threads !== undefined && { threads }),
  });
  if (engine === 'auto' && opened.name === 'reference')
    process.emitWarning('no fast engine runs here, so this takes a hundred times as long; see liif engines');
  if (!opened.exact)
    process.emitWarning(
      `${opened.name} is approximate: samples may be off by 1 of 255 from those of other engines`,
    );
  return opened;
}
