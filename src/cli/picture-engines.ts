import type { Command } from 'commander';
import { type LiifImage, openImage } from '../decode.ts';
import type { Engine } from '../engine/engine.ts';
import { UnsupportedError } from '../errors.ts';
import { readModel } from '../model/model-file.ts';
import { releasedModel } from '../model/released-model.ts';
import type { Model } from '../network/model.ts';
import type { Source } from '../reader/source.ts';
import { addEngineOptions, type EngineOptions, modelsOption, openCommandEngine } from './engine.ts';
import { interruption } from './interruption.ts';

/** Options of commands that decode. */
export interface PictureEngineOptions extends EngineOptions {
  readonly model?: readonly string[];
}

export function addPictureEngineOptions(command: Command): Command {
  return addEngineOptions(command, modelsOption());
}

/**
 * The models that a command knows, and an engine for each that a picture has needed so far. For one picture
 * after the other.
 */
export class PictureEngines {
  readonly #options: PictureEngineOptions;
  readonly #models: ReadonlyMap<string, Model>;
  readonly #opened = new Map<string, Engine>();

  private constructor(options: PictureEngineOptions, models: readonly Model[]) {
    this.#options = options;
    this.#models = new Map(models.map((model) => [model.hash, model]));
  }

  /**
   * Reads the model files of `--model`. Engines are opened when pictures need them. Rejects as `readModel`
   * does.
   */
  static async of(options: PictureEngineOptions): Promise<PictureEngines> {
    const models: Model[] = [];
    for (const file of options.model ?? []) models.push(await readModel(file, interruption()));
    return new PictureEngines(options, models);
  }

  /** Opens a picture with an engine of the model that it names. Rejects as `openImage` and `engineOf` do. */
  open(source: Source): Promise<LiifImage> {
    return openImage(source, { engine: (hash) => this.engineOf(hash), signal: interruption() });
  }

  /**
   * An engine of the model whose hash a file names. Rejects with UnsupportedError where the model is not
   * known; `remedy` is added to its message. Rejects as `openCommandEngine` does.
   */
  async engineOf(hash: string, remedy = ''): Promise<Engine> {
    const model = this.#models.get(hash) ?? (await releasedModel());
    if (model.hash !== hash)
      throw new UnsupportedError(
        `the file needs model ${hash}, which is not known here; name its file with --model FILE${remedy}`,
      );
    const engine = this.#opened.get(hash) ?? (await openCommandEngine(this.#options, model));
    this.#opened.set(hash, engine);
    return engine;
  }

  async close(): Promise<void> {
    for (const engine of this.#opened.values()) await engine.close();
  }
}
