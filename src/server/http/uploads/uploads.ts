import { lstatSync } from 'node:fs';
import { join } from 'node:path';
import sharp from 'sharp';
import { modelHash } from '../../../container/header.ts';
import { MAGIC } from '../../../container/layout.ts';
import { encodeImageTo } from '../../../encode.ts';
import { AtomicFile } from '../../../image/atomic-file.ts';
import { ImageError } from '../../../image/errors.ts';
import { readImage } from '../../../image/read.ts';
import { onAbort, unlessAborted } from '../../../on-abort.ts';
import { memorySource } from '../../../reader/memory-source.ts';
import { openReader } from '../../../reader/reader.ts';
import type { EngineHost } from '../../engines/engine-host.ts';
import type { Catalog } from '../../pictures/catalog/catalog.ts';
import { MAX_SERVED_CHUNKS } from '../../pictures/liif-picture.ts';
import { Problem, problemDocument, problemOf, stopping } from '../../problem.ts';
import type { ImageInfo } from '../answer/image-info.ts';
import type { Exchange } from '../exchange.ts';
import { isReserved } from '../request/picture-path.ts';
import { parseUpload } from '../request/request.ts';
import { BodyPlaces } from './body-places.ts';
import { checkChunks } from './check-chunks.ts';
import { type Job, Jobs } from './upload-jobs.ts';

export interface UploadsOptions {
  readonly catalog: Catalog;
  readonly engines: EngineHost;
  readonly maxBytes: number;
  readonly maxPixels: number;
  readonly infoOf: (id: string, signal: AbortSignal) => Promise<ImageInfo>;
  /** Called for each image that was not encoded, or not kept, unless its client gave it up. */
  readonly onFailed?: (id: string, problem: Problem, error: unknown) => void;
}

/** Encodings that wait, and the one that runs. */
const MAX_QUEUED = 8;
/** Images that are being sent. */
const MAX_COMING = 8;
const FORMATS = ['jpeg', 'png', 'webp', 'tiff', 'gif', 'heif'];

/**
 * Encodes uploaded images, one after another, into the first directory, and keeps uploaded .liif files there.
 * Nothing is ever overwritten.
 */
export class Uploads {
  readonly #options: UploadsOptions;
  readonly #jobs = new Jobs();
  readonly #stop = new AbortController();
  readonly #bodies = new BodyPlaces(MAX_COMING);
  #last: Promise<void> = Promise.resolve();
  #queued = 0;

  constructor(options: UploadsOptions) {
    this.#options = options;
  }

  /** Answers POST /api/images. */
  async receive(exchange: Exchange): Promise<void> {
    const { request, response, signal, base } = exchange;
    const { catalog, maxBytes } = this.#options;
    checkOrigin(exchange);
    const directory = catalog.directory;
    if (directory === undefined)
      throw new Problem(403, 'no-directory', 'This server has no directory to write to.');
    const { name, quality } = parseUpload(request.url);
    this.#checkQueue();
    const bytes = await this.#bodies.read(request, maxBytes, AbortSignal.any([signal, this.#stop.signal]));
    // Other uploads may have filled the queue meanwhile.
    this.#checkQueue();
    this.#queued++;
    let job: Job;
    try {
      const encoded = bytes.subarray(0, MAGIC.length).equals(MAGIC);
      await (encoded ? this.#checkEncoded(bytes, name, signal) : this.#checkImage(bytes));
      job = this.#jobs.add(this.#freeName(directory, name));
      this.#last = this.#last.then(() =>
        this.#keep(job, directory, name, (file) =>
          encoded ? this.#keepEncoded(job, bytes, file) : this.#encode(job, bytes, file, quality),
        ),
      );
    } catch (error) {
      this.#queued--;
      throw error;
    }
    response
      .status(202)
      .set({ Location: `${pathOf(base)}/api/jobs/${job.state.job}`, 'Cache-Control': 'no-store' })
      .json(job.state);
  }

  #checkQueue(): void {
    if (this.#queued >= MAX_QUEUED)
      throw new Problem(503, 'overloaded', 'Too many images wait to be encoded; try again soon.', {
        retryAfter: 10,
      });
  }

  /** Answers GET /api/jobs/{job}. Rejects with Problem 404. */
  async report(exchange: Exchange, number: string): Promise<void> {
    return this.#jobs.get(number).report(exchange);
  }

  /** Answers DELETE /api/jobs/{job}: gives up a job that is not done, and removes its unfinished file. */
  cancel(exchange: Exchange, number: string): void {
    checkOrigin(exchange);
    this.#jobs.get(number).cancel();
    exchange.response.status(204).set('Cache-Control', 'no-store').end();
  }

  /** Gives up all jobs, and removes the unfinished file of the one that runs. */
  async close(): Promise<void> {
    this.#stop.abort(stopping());
    await this.#last;
  }

  /**
   * The first of `name`, `name-2`, `name-3`, ... that is not reserved and belongs to no picture of any root,
   * no file of the directory and no unfinished job.
   */
  #freeName(directory: string, name: string): string {
    const taken = (id: string) =>
      isReserved(id) ||
      this.#jobs.promises(id) ||
      this.#options.catalog.get(id) !== undefined ||
      // A file that the catalog has not seen yet.
      lstatSync(join(directory, `${id}.liif`), { throwIfNoEntry: false }) !== undefined;
    for (let i = 1; ; i++) {
      const candidate = i === 1 ? name : `${name}-${i}`;
      if (!taken(candidate)) return candidate;
    }
  }

  async #checkImage(bytes: Buffer): Promise<void> {
    const metadata = await sharp(bytes, { limitInputPixels: this.#options.maxPixels })
      .metadata()
      .catch((cause: Error) => {
        throw /pixel limit/.test(cause.message)
          ? new Problem(413, 'too-large', `Images have at most ${this.#options.maxPixels} pixels here.`, {
              cause,
            })
          : new Problem(415, 'not-an-image', 'The body is not an image that can be read.', { cause });
      });
    if (!FORMATS.includes(metadata.format))
      throw new Problem(415, 'not-an-image', `Images come as ${FORMATS.join(', ')}.`);
  }

  /** Checks that this server can show a .liif, as far as header and index tell. Rejects with Problem 415. */
  async #checkEncoded(bytes: Uint8Array, name: string, signal: AbortSignal): Promise<void> {
    let model: string;
    try {
      const reader = await openReader(memorySource(bytes, name), {
        signal,
        maxChunks: MAX_SERVED_CHUNKS,
      });
      model = modelHash(reader.header);
    } catch (cause) {
      signal.throwIfAborted();
      throw new Problem(415, 'damaged-file', 'The body begins like a .liif, but is none that can be read.', {
        cause,
      });
    }
    const { engine } = await this.#options.engines.running(model);
    if (model !== engine.model.hash)
      throw new Problem(415, 'unknown-model', 'The .liif needs a model that this server does not have.', {
        members: { model },
      });
  }

  /**
   * Runs a job, whose file `write` makes, and tells of its states. The file gets another name where somebody,
   * such as another server, has used the job's name meanwhile.
   */
  async #keep(
    job: Job,
    directory: string,
    name: string,
    write: (file: AtomicFile) => Promise<unknown>,
  ): Promise<void> {
    const { catalog, infoOf, onFailed } = this.#options;
    const { signal } = this.#stop;
    const forget = onAbort(signal, () => job.stop.abort(signal.reason));
    try {
      signal.throwIfAborted();
      job.stop.signal.throwIfAborted();
      job.tell({ state: 'running' });
      const pathOfJob = () => join(directory, `${job.state.id}.liif`);
      const file = await AtomicFile.open(pathOfJob());
      try {
        await write(file);
        job.stop.signal.throwIfAborted();
      } catch (error) {
        await file.abort();
        throw error;
      }
      job.kept = true;
      while (!(await file.commitNew(pathOfJob()))) job.tell({ id: this.#freeName(directory, name) });
      await catalog.rescan(directory);
      job.tell({ state: 'done', progress: 1, image: await infoOf(job.state.id, signal) });
    } catch (error) {
      const problem = problemOf(error);
      if (problem.code !== 'canceled') onFailed?.(job.state.id, problem, error);
      job.tell({ state: 'failed', problem: problemDocument(problem) });
    } finally {
      forget();
      this.#queued--;
    }
  }

  async #keepEncoded(job: Job, bytes: Buffer, file: AtomicFile): Promise<void> {
    const { engines } = this.#options;
    await checkChunks(bytes, job.state.id, {
      engines,
      signal: job.stop.signal,
      onProgress: job.progress(),
    });
    await file.write(bytes);
  }

  async #encode(job: Job, bytes: Buffer, file: AtomicFile, quality: number | undefined): Promise<void> {
    const { engines, maxPixels } = this.#options;
    const { signal } = job.stop;
    // sharp cannot be interrupted. Only a server that stops does not wait for it: a client that gave up one
    // image after the other would fill the memory.
    const { raster } = await unlessAborted(
      this.#stop.signal,
      readImage(bytes, { name: job.state.id, maxPixels, signal }),
    ).catch((cause: unknown) => {
      if (!(cause instanceof ImageError)) throw cause;
      throw new Problem(415, 'damaged-file', 'The image is damaged: it cannot be decoded.', { cause });
    });
    const { engine } = await engines.running();
    signal.throwIfAborted();
    const told = job.progress();
    await encodeImageTo(engine, raster, file, {
      signal,
      ...(quality !== undefined && { quality }),
      onProgress: ({ done, total }) => told(Math.min(1, done / total)),
    });
  }
}

/** The path of a URL, without a slash at its end. */
function pathOf(url: string): string {
  return new URL(url).pathname.replace(/\/$/, '');
}

/**
 * Throws Problem 403 for pages of other sites, which must not make their visitors write here. A page of this
 * server has the origin of `base`, or the host that the request names.
 */
function checkOrigin({ request, base }: Exchange): void {
  const { origin, host } = request.headers;
  if (origin === undefined) return;
  if (
    URL.canParse(origin) &&
    (new URL(origin).origin === new URL(base).origin || new URL(origin).host === host)
  )
    return;
  throw new Problem(403, 'foreign-origin', 'Only pages of this server may upload.');
}
