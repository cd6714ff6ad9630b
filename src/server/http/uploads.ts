import { randomUUID } from 'node:crypto';
import { lstatSync } from 'node:fs';
import { join } from 'node:path';
import type { Request, Response } from 'express';
import sharp from 'sharp';
import { modelHash } from '../../container/header.ts';
import { MAGIC } from '../../container/layout.ts';
import { encodeImageTo } from '../../encode.ts';
import { AtomicFile } from '../../image/atomic-file.ts';
import { readImage } from '../../image/read.ts';
import { onAbort } from '../../on-abort.ts';
import { memorySource } from '../../reader/memory-source.ts';
import { openReader } from '../../reader/reader.ts';
import { unlessAborted } from '../../unless-aborted.ts';
import type { Catalog } from '../pictures/catalog.ts';
import { MAX_SERVED_CHUNKS } from '../pictures/liif-picture.ts';
import { notFound, Problem, problemDocument, problemOf, stopping } from '../problem.ts';
import type { EngineHost } from '../render/engine-host.ts';
import { BodyPlaces } from './body-places.ts';
import { checkChunks } from './check-chunks.ts';
import type { ImageInfo } from './image-info.ts';
import { isReserved } from './picture-path.ts';
import { parseUpload } from './request.ts';

/** A job as clients see it. */
export interface JobState {
  readonly job: string;
  /** Id that the picture will have. */
  readonly id: string;
  readonly state: 'queued' | 'running' | 'done' | 'failed';
  /** 0 .. 1 */
  readonly progress: number;
  readonly image?: ImageInfo;
  readonly problem?: Record<string, unknown>;
}

export interface UploadsOptions {
  readonly catalog: Catalog;
  readonly engines: EngineHost;
  readonly maxBytes: number;
  readonly maxPixels: number;
  readonly infoOf: (id: string, signal: AbortSignal) => Promise<ImageInfo>;
  readonly onFailed?: (id: string, error: unknown) => void;
}

interface Job {
  state: JobState;
  readonly changed: Set<() => void>;
  /** Aborted when the picture is not wanted any more, or the server stops. */
  readonly stop: AbortController;
  /** The file is getting its name, and it is too late to stop. */
  kept: boolean;
}

/** Encodings that wait, and the one that runs. */
const MAX_QUEUED = 8;
/** Images that are being sent. */
const MAX_COMING = 8;
/** Jobs that are remembered after their end. */
const MAX_REMEMBERED = 200;
const FORMATS = ['jpeg', 'png', 'webp', 'tiff', 'gif', 'heif'];

/** Encodes uploaded images, one after another, into the first directory, and keeps uploaded .liif files there. Nothing is ever overwritten. */
export class Uploads {
  readonly #options: UploadsOptions;
  readonly #jobs = new Map<string, Job>();
  readonly #stop = new AbortController();
  readonly #bodies = new BodyPlaces(MAX_COMING);
  #last: Promise<void> = Promise.resolve();
  #queued = 0;

  constructor(options: UploadsOptions) {
    this.#options = options;
  }

  /** Answers POST /api/images. `base`: URL of this server for its clients. */
  async receive(request: Request, response: Response, base: string, signal: AbortSignal): Promise<void> {
    const { catalog, maxBytes } = this.#options;
    checkOrigin(request, base);
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
      job = this.#remember(this.#freeName(directory, name));
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

  /** Answers GET /api/jobs/{job}: with the state, or with a stream of states as they change. */
  async report(request: Request, response: Response, number: string, signal: AbortSignal): Promise<void> {
    const job = this.#jobs.get(number);
    if (!job) throw notFound('There is no such job.');
    response.set('Cache-Control', 'no-store');
    if (!request.headers.accept?.includes('text/event-stream') || request.method === 'HEAD') {
      response.json(job.state);
      return;
    }
    signal.throwIfAborted();
    response.set({ 'Content-Type': 'text/event-stream; charset=utf-8', 'X-Accel-Buffering': 'no' });
    await new Promise<void>((resolve) => {
      const send = () => {
        response.write(`data: ${JSON.stringify(job.state)}\n\n`);
        if (job.state.state === 'done' || job.state.state === 'failed') end();
      };
      const end = () => {
        job.changed.delete(send);
        forget();
        response.end();
        resolve();
      };
      job.changed.add(send);
      const forget = onAbort(signal, end);
      send();
    });
  }

  /** Answers DELETE /api/jobs/{job}: gives up a job that is not done, and removes its unfinished file. */
  cancel(request: Request, response: Response, base: string, number: string): void {
    checkOrigin(request, base);
    const job = this.#jobs.get(number);
    if (!job) throw notFound('There is no such job.');
    if (job.kept) throw new Problem(409, 'done', 'The picture is there already.');
    job.stop.abort(canceled());
    // A waiting job fails now, not when its turn comes.
    if (job.state.state === 'queued') tell(job, { state: 'failed', problem: problemDocument(canceled()) });
    response.status(204).set('Cache-Control', 'no-store').end();
  }

  /** Gives up all jobs, and removes the unfinished file of the one that runs. */
  async close(): Promise<void> {
    this.#stop.abort(stopping());
    await this.#last;
  }

  /** The first of `name`, `name-2`, `name-3`, ... that is not reserved and belongs to no picture of any root, no file of the directory and no unfinished job. */
  #freeName(directory: string, name: string): string {
    const promised = new Set(
      [...this.#jobs.values()].flatMap(({ state }) =>
        state.state === 'queued' || state.state === 'running' ? state.id : [],
      ),
    );
    const taken = (id: string) =>
      isReserved(id) ||
      promised.has(id) ||
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
        limits: { chunks: MAX_SERVED_CHUNKS },
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

  #remember(id: string): Job {
    const job: Job = {
      state: { job: randomUUID(), id, state: 'queued', progress: 0 },
      changed: new Set(),
      stop: new AbortController(),
      kept: false,
    };
    this.#jobs.set(job.state.job, job);
    for (const [number, { state }] of this.#jobs) {
      if (this.#jobs.size <= MAX_REMEMBERED) break;
      if (state.state === 'done' || state.state === 'failed') this.#jobs.delete(number);
    }
    return job;
  }

  /** Runs a job, whose file `write` makes, and tells of its states. The file gets another name where somebody, such as another server, has used the job's name meanwhile. */
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
      tell(job, { state: 'running' });
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
      while (!(await file.commitNew(pathOfJob()))) tell(job, { id: this.#freeName(directory, name) });
      await catalog.rescan(directory);
      tell(job, { state: 'done', progress: 1, image: await infoOf(job.state.id, signal) });
    } catch (error) {
      const problem = problemOf(error);
      if (problem.code !== 'canceled') onFailed?.(job.state.id, error);
      tell(job, { state: 'failed', problem: problemDocument(problem) });
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
      onProgress: progressOf(job),
    });
    await file.write(bytes);
  }

  async #encode(job: Job, bytes: Buffer, file: AtomicFile, quality: number | undefined): Promise<void> {
    const { engines, maxPixels } = this.#options;
    const { signal } = job.stop;
    // sharp cannot be interrupted. Only a server that stops does not wait for it: a client that gave up one image after the other would fill the memory.
    const { raster } = await unlessAborted(
      this.#stop.signal,
      readImage(bytes, { name: job.state.id, maxPixels, signal }),
    );
    const { engine } = await engines.running();
    signal.throwIfAborted();
    const told = progressOf(job);
    await encodeImageTo(engine, raster, file, {
      signal,
      ...(quality !== undefined && { quality }),
      onProgress: ({ done, total }) => told(Math.min(1, done / total)),
    });
  }
}

function tell(job: Job, change: Partial<JobState>): void {
  job.state = { ...job.state, ...change };
  for (const send of [...job.changed]) send();
}

/** Tells of progress by the hundredth. */
function progressOf(job: Job): (progress: number) => void {
  let told = 0;
  return (progress) => {
    if (progress < told + 0.01) return;
    told = progress;
    tell(job, { progress });
  };
}

function canceled(): Problem {
  return new Problem(409, 'canceled', 'The picture was not wanted any more.');
}

/** The path of a URL, without a slash at its end. */
function pathOf(url: string): string {
  return new URL(url).pathname.replace(/\/$/, '');
}

/** Throws Problem 403 for pages of other sites, which must not make their visitors write here. A page of this server has the origin of `base`, or the host that the request names. */
function checkOrigin(request: Request, base: string): void {
  const { origin, host } = request.headers;
  if (origin === undefined) return;
  if (
    URL.canParse(origin) &&
    (new URL(origin).origin === new URL(base).origin || new URL(origin).host === host)
  )
    return;
  throw new Problem(403, 'foreign-origin', 'Only pages of this server may upload.');
}
