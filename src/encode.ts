import { optimizedAnalysis } from './analysis/optimize.ts';
import { picturePatch } from './analysis/picture.ts';
import { psnrTarget, searchQuality, sizeTarget, type Target } from './analysis/rate-control.ts';
import { MEASURES, type Measure } from './analysis/sample-errors.ts';
import { expectColorSpace } from './color-space.ts';
import { type ChunkId, chunkExtent, chunkGrid, chunkList, latentExtent } from './container/chunks.ts';
import type { Header } from './container/header.ts';
import { MAX_LEVELS, MAX_SIDE } from './container/layout.ts';
import { OrderedChunks } from './container/ordered-chunks.ts';
import { ContainerWriter, MemorySink, type Sink } from './container/write.ts';
import { type CallOptions, decodeImage } from './decode.ts';
import type { Engine, Rect } from './engine/engine.ts';
import { RequestError, shown } from './errors.ts';
import { fromHexadecimal } from './hexadecimal.ts';
import { coverHiddenColors } from './image/hidden-colors.ts';
import { withoutOpaqueAlpha } from './image/opaque-alpha.ts';
import { type Channels, depthOf, expectSamples, hasAlpha, type Raster } from './image/raster.ts';
import { reduce } from './image/reduce.ts';
import { psnr } from './metrics/psnr.ts';
import type { Model } from './network/model.ts';
import { analysisWindow, cut, scaledExtent, sitesOf } from './network/window.ts';
import { inParallel } from './parallel.ts';
import { VERSION } from './version.ts';

/** Bytes that travel with the picture and that the codec does not look at. Spec 1.3. */
export interface AncillarySections {
  readonly icc?: Uint8Array;
  readonly exif?: Uint8Array;
  readonly xmp?: Uint8Array;
  readonly text?: Uint8Array;
}

export interface EncodeOptions extends CallOptions {
  /** 1 (smallest file) to 100 (closest picture); default 60. */
  readonly quality?: number;
  /** Instead of a quality: the best picture in at most so many bytes. */
  readonly targetSize?: number;
  /**
   * Instead of a quality: the smallest file with at least this PSNR, in dB, over all samples as they show: gray, color and alpha. Small and flat pictures, whose
   * PSNR does not rise with every quality, may have a smaller one, since few qualities are tried.
   */
  readonly targetPsnr?: number;
  /**
   * Improves latents by gradient descent for the one picture: a better picture in about the same bytes at the same quality, and so a smaller file for the
   * same likeness at a lower quality or by a target. false (default), true, which takes 4 steps, or their number up to 100; each takes about twice as long as
   * encoding.
   */
  readonly optimize?: boolean | number;
  /** What likeness is when optimizing: `ms-ssim`, which is nearer to what eyes see, or `psnr`. Default `ms-ssim`, or `psnr` for a target PSNR. */
  readonly optimizeFor?: Measure;
  /** Reduced copies for quick views of large pictures: true (default) down to at most 1024 pixels, false for none, or their number. */
  readonly overviews?: boolean | number;
  /** Reduction from one level to the next; default 4. */
  readonly overviewFactor?: 2 | 4;
  /**
   * Latents on the side of a chunk, a multiple of 8 from 8 to 64. Default 32, that is 512 pixels, and 16 for pictures of more than 8 megapixels:
   * a region of them needs half the bytes and half the decoding, for about one percent of the file.
   */
  readonly chunkSize?: number;
  /** Keeps the colors of fully transparent pixels; by default they take those of their surroundings, which saves bits and fringes. */
  readonly keepHiddenColors?: boolean;
  /** Bits of the source's samples as the file states them; default those of the raster. */
  readonly depth?: 8 | 16;
  readonly sections?: AncillarySections;
}

export interface EncodeSummary {
  readonly quality: number;
  /** Of the file: without alpha where all of the picture is opaque. */
  readonly channels: Channels;
  /** Size of the file. */
  readonly bytes: number;
  readonly levels: number;
  readonly chunks: number;
  /** Of the whole file, per pixel of the picture. */
  readonly bitsPerPixel: number;
}

export const DEFAULT_QUALITY = 60;
/** What a search takes about, of all qualities and from one that is near. */
const TRIALS = 4;
const TRIALS_NEARBY = 3;
/** Pictures beyond this on a side get overviews, down to this. */
const OVERVIEW_LIMIT = 1024;
/** Steps of `optimize: true`: photographs gain little by more, graphics some percent. */
const OPTIMIZING_STEPS = 4;
/** Groups that are optimized side by side: each takes some 300 MB, and all threads of the engine. */
const OPTIMIZED_GROUPS = 2;
/** Pixels from which regions matter more than the last percent of the file. */
const LARGE_PICTURE = 8_000_000;
/** Latents on the side of a group of chunks that is analyzed together, so that its halo is computed once. */
const GROUP_LATENTS = 64;

/**
 * Encodes into memory. The same picture and options give the same bytes on every machine and engine. Alpha that is opaque everywhere is left out, as if it were not
 * there. Rejects with RequestError or EngineError.
 */
export async function encodeImage(
  engine: Engine,
  raster: Raster,
  options: EncodeOptions = {},
): Promise<Uint8Array> {
  const sink = new MemorySink();
  await encodeImageTo(engine, raster, sink, options);
  return sink.bytes();
}

/** Encodes into a sink, chunk by chunk. Nothing is written before the options have been checked and a target has been met. */
export async function encodeImageTo(
  engine: Engine,
  raster: Raster,
  sink: Sink,
  options: EncodeOptions = {},
): Promise<EncodeSummary> {
  checkRaster(raster);
  checkOptions(options);
  const { signal } = options;
  const picture = await withoutOpaqueAlpha(raster, signal);
  const covered = options.keepHiddenColors ? picture : await coverHiddenColors(picture, signal);
  if (options.targetSize === undefined && options.targetPsnr === undefined)
    return encodeAt(engine, covered, sink, options.quality ?? DEFAULT_QUALITY, options);
  const found = await encodeToTarget(engine, covered, options);
  await sink.write(found.bytes);
  return found.summary;
}

/** A file of a search; `psnr` where a PSNR is to be met. */
interface Encoded {
  readonly bytes: Uint8Array;
  readonly summary: EncodeSummary;
  readonly psnr: number;
}

async function encodeToTarget(engine: Engine, raster: Raster, options: EncodeOptions): Promise<Encoded> {
  const { targetSize, targetPsnr, onProgress, ...rest } = options;
  if (targetPsnr !== undefined && !engine.exact)
    throw new RequestError(
      `A quality for a PSNR is found by decoding, and the ${engine.name} engine is not exact: the file would depend on the machine`,
    );
  const trial = async (quality: number, how: EncodeOptions): Promise<Encoded> => {
    const sink = new MemorySink();
    const summary = await encodeAt(engine, raster, sink, quality, how);
    const bytes = sink.bytes();
    if (targetPsnr === undefined) return { bytes, summary, psnr: Number.NaN };
    const decoded = await decodeImage(bytes, {
      engine,
      depth: depthOf(raster),
      ...(options.signal && { signal: options.signal }),
    });
    return { bytes, summary, psnr: psnr(raster, decoded) };
  };
  const target: Target<Encoded> = targetSize !== undefined ? sizeTarget(targetSize) : psnrTarget(targetPsnr!);
  const optimizes = stepsOf(options) > 0;
  const total = TRIALS + (optimizes ? TRIALS_NEARBY : 0);
  let trials = 0;
  const search = (how: EncodeOptions, near?: number) =>
    searchQuality(
      (quality) => trial(quality, how),
      target,
      () => onProgress?.({ stage: 'search', done: Math.min(trials++, total - 1), total }),
      near,
    );
  // Optimizing takes long and moves the quality by little.
  const near = optimizes ? await search({ ...rest, optimize: false }) : undefined;
  const found = await search({ ...rest, optimizeFor: measureOf(options) }, near?.quality);
  if (!found.met)
    throw new RequestError(
      targetSize !== undefined
        ? `The picture does not fit into ${targetSize} bytes: at quality ${found.quality} it takes ${found.result.bytes.length}`
        : `A PSNR of ${decibels(targetPsnr!)} cannot be reached: quality ${found.quality}, the best that was tried, gives ${decibels(found.result.psnr)}`,
    );
  onProgress?.({ stage: 'search', done: 1, total: 1 });
  return found.result;
}

function decibels(psnr: number): string {
  return `${Math.round(psnr * 1000) / 1000} dB`;
}

async function encodeAt(
  engine: Engine,
  raster: Raster,
  sink: Sink,
  quality: number,
  options: EncodeOptions,
): Promise<EncodeSummary> {
  const { signal, onProgress } = options;
  const factor = options.overviewFactor ?? 4;
  const rasters = [raster];
  for (let count = levelCount(raster, options); rasters.length < count; ) {
    signal?.throwIfAborted();
    rasters.push(await reduce(rasters.at(-1)!, factor, signal));
  }
  const sections = Object.entries(options.sections ?? {}).filter((entry) => entry[1] !== undefined);
  const header: Header = {
    width: raster.width,
    height: raster.height,
    channels: raster.channels >= 3 ? 3 : 1,
    alpha: hasAlpha(raster.channels),
    depth: options.depth ?? depthOf(raster),
    // Gray is the same in all of them.
    ...(raster.channels >= 3 && raster.colorSpace === 'display-p3' && { colorSpace: raster.colorSpace }),
    quality,
    model: fromHexadecimal(engine.model.hash),
    encoder: `liif ${VERSION}`,
    chunkSize: options.chunkSize ?? (raster.width * raster.height > LARGE_PICTURE ? 16 : 32),
    levels: rasters.length,
    overviewFactor: factor,
    sections: [],
  };
  const writer = await ContainerWriter.begin(sink, header, sections as [string, Uint8Array][]);
  const order = chunkList(header);
  const steps = stepsOf(options);
  const measure = measureOf(options);
  // A step of optimization counts as much as coding.
  const total = order.length * (1 + steps);
  let done = 0;
  const ordered = new OrderedChunks(writer, order);
  onProgress?.({ stage: 'encode', done, total });
  await inParallel(steps > 0 ? OPTIMIZED_GROUPS : engine.threads + 1, groupsOf(header), async (group) => {
    const { analysis, rect } = await analyzeGroup(
      engine,
      rasters[group.level]!,
      header,
      group,
      steps,
      measure,
      () => {
        done += group.chunks.length;
        onProgress?.({ stage: 'encode', done, total });
      },
      signal,
    );
    await inParallel(engine.threads, group.chunks, async (id) => {
      const chunk = {
        top: id.row * header.chunkSize,
        left: id.column * header.chunkSize,
        ...chunkExtent(header, id),
      };
      const window = cut(analysis, rect, chunk, engine.model.latentChannels);
      const encoded = await engine.encodeChunk(window, chunk, quality, signal);
      onProgress?.({ stage: 'encode', done: ++done, total });
      await ordered.finish(id, encoded.bytes);
    });
  });
  const bytes = await writer.end();
  return {
    quality,
    channels: raster.channels,
    bytes,
    levels: header.levels,
    chunks: order.length,
    bitsPerPixel: (8 * bytes) / (raster.width * raster.height),
  };
}

interface Group {
  readonly level: number;
  readonly plane: 0 | 1;
  readonly chunks: readonly ChunkId[];
}

/** All chunks in squares of about GROUP_LATENTS, in about the order of the file. */
function groupsOf(header: Header): Group[] {
  const groups: Group[] = [];
  const side = Math.ceil(GROUP_LATENTS / header.chunkSize);
  for (let level = header.levels - 1; level >= 0; level--) {
    const grid = chunkGrid(header, level);
    for (const plane of header.alpha ? ([0, 1] as const) : ([0] as const)) {
      for (let top = 0; top < grid.rows; top += side) {
        for (let left = 0; left < grid.columns; left += side) {
          const chunks: ChunkId[] = [];
          for (let row = top; row < Math.min(grid.rows, top + side); row++) {
            for (let column = left; column < Math.min(grid.columns, left + side); column++)
              chunks.push({ level, plane, row, column });
          }
          groups.push({ level, plane, chunks });
        }
      }
    }
  }
  return groups;
}

/** Analysis output over all chunks of a group, optimized if asked for, and the latents it covers. */
async function analyzeGroup(
  engine: Engine,
  raster: Raster,
  header: Header,
  group: Group,
  steps: number,
  measure: Measure,
  onStep: () => void,
  signal: AbortSignal | undefined,
): Promise<{ analysis: Int16Array; rect: Rect }> {
  const { model } = engine;
  const { quality, chunkSize } = header;
  const first = group.chunks[0]!;
  const last = group.chunks.at(-1)!;
  const end = chunkExtent(header, last);
  const top = first.row * chunkSize;
  const left = first.column * chunkSize;
  const rect: Rect = {
    top,
    left,
    height: last.row * chunkSize + end.height - top,
    width: last.column * chunkSize + end.width - left,
  };
  const level = latentExtent(header, group.level);
  const analyze = (latents: Rect): Promise<Int16Array> => {
    const picture = scaledExtent(level, model.latentStride);
    const pixels = picturePatch(
      raster,
      group.plane,
      analysisWindow(model, latents, picture),
      model.imageShift,
    );
    return engine.analyze(pixels, picture, latents, quality, signal);
  };
  if (steps === 0) return { analysis: await analyze(rect), rect };
  const target = picturePatch(raster, group.plane, shownPixels(model, raster, rect), model.imageShift);
  const part = { latents: rect, level, chunkSize, target, measure, analyze, onStep };
  return { analysis: await optimizedAnalysis(engine, part, quality, steps, signal), rect };
}

/** The pixels of some latents that the picture has. */
function shownPixels(model: Model, { width, height }: Raster, latents: Rect): Rect {
  const sites = sitesOf(model, latents);
  return {
    ...sites,
    height: Math.min(sites.height, height - sites.top),
    width: Math.min(sites.width, width - sites.left),
  };
}

function stepsOf({ optimize = false }: EncodeOptions): number {
  return optimize === true ? OPTIMIZING_STEPS : Number(optimize);
}

function measureOf({ optimizeFor, targetPsnr }: EncodeOptions): Measure {
  return optimizeFor ?? (targetPsnr === undefined ? 'ms-ssim' : 'psnr');
}

function levelCount(raster: Raster, options: EncodeOptions): number {
  const { overviews = true } = options;
  const factor = options.overviewFactor ?? 4;
  const wanted = overviews === true ? Number.POSITIVE_INFINITY : Number(overviews);
  let levels = 1;
  let side = Math.max(raster.width, raster.height);
  while (levels <= wanted && levels < MAX_LEVELS && side > (overviews === true ? OVERVIEW_LIMIT : 1)) {
    side = Math.ceil(side / factor);
    levels++;
  }
  return levels;
}

function checkRaster(raster: Raster): void {
  const { width, height, channels, data, colorSpace } = raster;
  for (const [name, side] of [
    ['width', width],
    ['height', height],
  ] as const)
    if (!(Number.isInteger(side) && side >= 1 && side <= MAX_SIDE))
      throw new RequestError(`Expected a raster ${name} of 1 to ${MAX_SIDE} but received ${shown(side)}`);
  if (![1, 2, 3, 4].includes(channels))
    throw new RequestError(`Expected 1 to 4 channels but received ${shown(channels)}`);
  expectSamples(data);
  if (colorSpace !== undefined) expectColorSpace(colorSpace);
  if (data.length !== width * height * channels)
    throw new RequestError(
      `Expected ${width * height * channels} samples for ${width} x ${height} x ${channels} but received ${data.length}`,
    );
}

function checkOptions(options: EncodeOptions): void {
  const given = [options.quality, options.targetSize, options.targetPsnr].filter(
    (value) => value !== undefined,
  );
  if (given.length > 1)
    throw new RequestError('Give one of quality, target size and target PSNR, not several');
  const whole = (name: string, value: number | undefined, low: number, high: number, multiple = 1) => {
    if (
      value !== undefined &&
      !(Number.isInteger(value) && value >= low && value <= high && value % multiple === 0)
    )
      throw new RequestError(
        `Expected a ${name} of ${low} to ${high}${multiple > 1 ? `, a multiple of ${multiple},` : ''} but received ${shown(value)}`,
      );
  };
  whole('quality', options.quality, 1, 100);
  whole('target size', options.targetSize, 1, Number.MAX_SAFE_INTEGER);
  whole('chunk size', options.chunkSize, 8, 64, 8);
  if (typeof options.overviews !== 'boolean')
    whole('number of overviews', options.overviews, 0, MAX_LEVELS - 1);
  if (options.overviewFactor !== undefined && options.overviewFactor !== 2 && options.overviewFactor !== 4)
    throw new RequestError(
      `Expected an overview factor of 2 or 4 but received ${shown(options.overviewFactor)}`,
    );
  if (options.targetPsnr !== undefined && !(options.targetPsnr > 0 && options.targetPsnr < 100))
    throw new RequestError(
      `Expected a target PSNR between 0 and 100 dB but received ${shown(options.targetPsnr)}`,
    );
  if (options.optimizeFor !== undefined && !MEASURES.includes(options.optimizeFor))
    throw new RequestError(
      `Expected to optimize for ${MEASURES.join(' or ')} but received ${options.optimizeFor}`,
    );
  for (const [type, bytes] of Object.entries(options.sections ?? {}))
    if (bytes !== undefined && !(bytes instanceof Uint8Array))
      throw new RequestError(`Expected the bytes of the ${type} section in a Uint8Array`);
  if (typeof options.optimize !== 'boolean') whole('number of optimizing steps', options.optimize, 0, 100);
}
