import { readFile } from 'node:fs/promises';
import { basename, dirname, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import express, { type RequestHandler, type Response } from 'express';
import { RELEASED_DECODER_HASH } from '../../../model/decoder-hashes.ts';
import { readModelFile } from '../../../model/model-file.ts';
import { type ListedModel, listedModel, MODEL_LIST, modelListText } from '../../../model/model-list.ts';
import { RELEASED_MODEL } from '../../../model/released-model.ts';
import type { Model } from '../../../network/model.ts';
import { packDecoderPart, packedFileOf } from '../../../network/packed-part.ts';
import { Problem } from '../../problem.ts';
import { inTurn } from './answer-turn.ts';

const RELEASED = fileURLToPath(RELEASED_MODEL);
const RELEASED_PART = { decoderHash: RELEASED_DECODER_HASH, file: basename(RELEASED) };

/**
 * The models that settings name, and their weights, which browsers that decode by themselves get: whole files
 * with ranges, and packed parts with what decoding needs.
 */
export class ServedModels {
  readonly all: readonly Model[];
  readonly #listed: readonly ListedModel[];
  /** Where a file of `/model` lies on this machine. */
  readonly #paths: ReadonlyMap<string, string>;
  /** Packed parts of model files, by path. */
  readonly #parts = new Map<string, Promise<Buffer>>();

  private constructor(
    all: readonly Model[],
    listed: readonly ListedModel[],
    paths: ReadonlyMap<string, string>,
  ) {
    this.all = all;
    this.#listed = listed;
    this.#paths = paths;
  }

  /** Rejects as `readModel` does. */
  static async open(files: readonly string[]): Promise<ServedModels> {
    const all: Model[] = [];
    const listed: ListedModel[] = [];
    const paths = new Map([[basename(RELEASED), RELEASED]]);
    for (const path of files) {
      const { model, bytes } = await readModelFile(path);
      if (all.some(({ hash }) => hash === model.hash)) continue;
      all.push(model);
      // Weights from the web are not handed on.
      if (/^https?:/i.test(path)) continue;
      const entry = await listedModel(model, bytes);
      paths.set(entry.file, resolve(path));
      listed.push(entry);
    }
    return new ServedModels(all, listed, paths);
  }

  /**
   * For `/model`: answers requests for `models.json`, for the files that it lists and for their packed parts;
   * other requests pass.
   */
  handler(): RequestHandler {
    const router = express.Router();
    router.get(`/${MODEL_LIST}`, (_request, response) => {
      response.locals.route = 'models';
      response.set('Cache-Control', 'no-cache').type('json').send(modelListText(this.#listed));
    });
    for (const { decoderHash, file } of [RELEASED_PART, ...this.#listed])
      router.get(`/${packedFileOf(decoderHash)}`, async (_request, response) => {
        response.locals.route = 'model';
        const part = await this.#packed(this.#paths.get(file)!);
        response
          .set({ 'Cache-Control': 'no-cache', ETag: `"${decoderHash}"` })
          .type('bin')
          .send(part);
      });
    for (const [file, path] of this.#paths)
      router.get(`/${file}`, (request, response, next) => {
        // Ranges have a meaning for GET alone (RFC 9110, 14.2).
        if (request.method !== 'GET') delete request.headers.range;
        inTurn(response, () => sendWeights(path, response, next));
      });
    return router;
  }

  /**
   * The packed part of a model file. It is made at the first request and kept: a few megabytes for each
   * model.
   */
  #packed(path: string): Promise<Buffer> {
    let part = this.#parts.get(path);
    if (!part) {
      part = readFile(path).then(packDecoderPart).then(Buffer.from);
      this.#parts.set(path, part);
      part.catch(() => this.#parts.delete(path));
    }
    return part;
  }
}

function sendWeights(path: string, response: Response, next: (error?: unknown) => void): void {
  response.locals.route = 'model';
  const options = {
    root: dirname(path),
    dotfiles: 'allow',
    headers: { 'Cache-Control': 'no-cache' },
  } as const;
  response.sendFile(basename(path), options, (error) => {
    if (!error || response.headersSent) return;
    const { status } = error as { readonly status?: number };
    next(status === 416 ? new Problem(416, 'range-not-satisfiable', 'The file has no such bytes.') : error);
  });
}
