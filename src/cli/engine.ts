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

export function addEngineOptions(command: Command): Command {
  return command.addOption(engineOption()).addOption(threadsOption());
}

function engineOption(): Option {
  return new Option('--engine <name>', 'what computes the networks; see liif engines')
    .choices(ENGINE_CHOICES)
    .default('auto');
}

export function threadsOption(): Option {
  return new Option(
    '--threads <n>',
    'threads of the engine, where it has threads (default: one per processor)',
  ).argParser(wholeNumber(1, 256));
}

/** Of commands that compute with one model. */
export interface ModelOption {
  readonly model?: string;
}

/** `what` completes "weights ...". */
export function modelOption(what: string): Option {
  return new Option(
    '--model <file>',
    `weights ${what}: a model file (default: those that come with liif)`,
  ).argParser(once);
}

function once(file: string, before: string | undefined): string {
  if (before !== undefined) throw new InvalidArgumentError(`Expected one model; ${before} is another.`);
  return file;
}

/** Of commands whose pictures may name several. */
export function modelsOption(): Option {
  return new Option(
    '--model <file>',
    'weights that pictures may name, beside those that come with liif; may be repeated',
  ).argParser(collected);
}

/** The weights of `--model`, or those of this version. Rejects as `readModel` does. */
export function commandModel({ model }: ModelOption): Promise<Model> {
  return model === undefined ? releasedModel() : readModel(model, interruption());
}

/**
 * An engine with this model, by default that of this version. Rejects with UnsupportedError or EngineError, saying why, when the engine that was asked for
 * does not run here.
 */
export async function openCommandEngine({ engine, threads }: EngineOptions, model?: Model): Promise<Engine> {
  const opened = await openEngine(model ?? (await releasedModel()), {
    engine,
    memory: choiceFile(),
    signal: interruption(),
    ...(threads !== undefined && { threads }),
  });
  if (engine === 'auto' && opened.name === 'reference')
    process.emitWarning(
      'no fast engine runs here, so this takes a hundred times as long; liif engines says why',
    );
  if (!opened.exact)
    process.emitWarning(
      `${opened.name} is approximate: samples may be off by 1 of 255 from those of other engines`,
    );
  return opened;
}
