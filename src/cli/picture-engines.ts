import { type Command, Option } from 'commander';
import { type Header, modelHash } from '../container/header.ts';
import { LiifImage } from '../decode.ts';
import type { Engine } from '../engine/engine.ts';
import { UnsupportedError } from '../errors.ts';
import { readModel } from '../model/model-file.ts';
import { releasedModel } from '../model/released-model.ts';
import type { Model } from '../network/model.ts';
import { openReader } from '../reader/reader.ts';
import type { Source } from '../reader/source.ts';
import { addEngineOptions, type EngineOptions, openCommandEngine } from './engine.ts';
import { interruption } from './interruption.ts';
import { collected } from './values.ts';

/** Of commands that decode. */
export interface PictureEngineOptions extends EngineOptions {
  readonly model?: readonly string[];
}

export function addPictureEngineOptions(command: Command): Command {
  return addEngineOptions(command).addOption(
    new Option(
      '--model <file>',
      'weights that a picture may name, beside those that come with liif; may be repeated',
    ).argParser(collected),
  );
}

/** The models that a command knows, and an engine for each that a picture has named so far. */
export class PictureEngines {
  readonly #options: PictureEngineOptions;
  readonly #models: ReadonlyMap<string, Model>;
  readonly #opened = new Map<string, Promise<Engine>>();

  private constructor(options: PictureEngineOptions, models: readonly Model[]) {
    this.#options = options;
    this.#models = new Map(models.map((model) => [model.hash, model]));
  }

  /** Reads the model files of `--model`; rejects as `readModel` does. Engines are opened when pictures need them. */
  static async of(options: PictureEngineOptions): Promise<PictureEngines> {
    const models: Model[] = [];
    for (const file of options.model ?? []) models.push(await readModel(file, interruption()));
    return new PictureEngines(options, models);
  }

  /** Opens a picture with an engine of the model that it names. Rejects as `openReader` and `engineOf` do; the source is the caller's to close. */
  async open(source: Source): Promise<LiifImage> {
    const reader = await openReader(source, { signal: interruption() });
    return new LiifImage(reader, { engine: await this.engineOf(reader.header) });
  }

  /**
   * An engine of the model that a header names. Rejects with UnsupportedError where the model is not known, `remedy` being what else may be done,
   * and as `openCommandEngine` does.
   */
  async engineOf(header: Pick<Header, 'model'>, remedy = ''): Promise<Engine> {
    const hash = modelHash(header);
    const model = this.#models.get(hash) ?? (await releasedModel());
    if (model.hash !== hash)
      throw new UnsupportedError(
        `the file needs model ${hash}, which is not known here; name its file with --model FILE${remedy}`,
      );
    const opened = this.#opened.get(hash) ?? openCommandEngine(this.#options, model);
    this.#opened.set(hash, opened);
    return opened;
  }

  async close(): Promise<void> {
    for (const opening of this.#opened.values()) await (await opening.catch(() => undefined))?.close();
  }
}
