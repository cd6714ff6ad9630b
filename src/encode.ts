import { optimizedAnalysis } from './analysis/optimize.ts';
import { picturePatch } from './analysis/picture.ts';
import { psnrTarget, searchQuality, sizeTarget, type Target } from './analysis/rate-control.ts';
import type { Measure } from './analysis/sample-errors.ts';
import {
  type ChunkId,
  chunkCount,
  chunkExtent,
  chunkGrid,
  chunkList,
  latentExtent,
} from './container/chunks.ts';
import type { Header } from './container/header.ts';
import { MAX_LEVELS, MAX_SIDE } from './container/layout.ts';
import { OrderedChunks } from './container/ordered-chunks.ts';
import { ContainerWriter, MemorySink, type Sink } from './container/write.ts';
import { decodeImage } from './decode.ts';
import { type EncodeOptions, givenEncodeOptions } from './encode-options.ts';
import type { Engine, Rect } from './engine/engine.ts';
import { RequestError } from './errors.ts';
import { expectEngine } from './given.ts';
import { fromHexadecimal } from './hexadecimal.ts';
import { coverHiddenColors } from './image/alpha/hidden-colors.ts';
import { withoutOpaqueAlpha } from './image/alpha/opaque-alpha.ts';
import { withoutExifPrefix } from './image/metadata/exif.ts';
import { type Channels, depthOf, expectRaster, hasAlpha, type Raster } from './image/raster.ts';
import { reduce } from './image/reduce.ts';
import { psnr } from './metrics/psnr.ts';
import type { Model } from './network/model.ts';
import { analysisWindow, cut, scaledExtent, sitesOf } from './network/window.ts';
import { inParallel } from './parallel.ts';
import { VERSION } from './version.ts';

export type { AncillarySections, EncodeOptions } from './encode-options.ts';

/** The file that an encoder has made. */
export interface EncodeSummary {
  /** The quality that was asked for, or the one that meets the target: 1 to 100. */
  readonly quality: number;
  /** Channels of the file; without alpha where the whole picture is opaque. */
  readonly channels: Channels;
  /** Size of the file. */
  readonly bytes: number;
  /** 1 for the picture itself, and 1 for each overview. */
  readonly levels: number;
  /** Chunks of all levels. */
  readonly chunks: number;
  /** Bits of the whole file per pixel of the picture. */
  readonly bitsPerPixel: number;
}

/** Quality where neither a quality nor a target is given. */
export const DEFAULT_QUALITY = 60;
/** Trials that a search takes, about: over all qualities, and from one that is near. */
const TRIALS = 4;
const TRIALS_NEARBY = 3;
/** Pictures with a longer side get overviews, until the longer side is at most this. */
const OVERVIEW_LIMIT = 1024;
/** Steps of `optimize: true`. More gain little in photographs, some percent in graphics. */
const OPTIMIZING_STEPS = 4;
/** Groups that are optimized side by side. Each takes some 300 MB, and all threads of the engine. */
const OPTIMIZED_GROUPS = 2;
/** Pixels from which quick regions matter more than the last percent of the file. */
const LARGE_PICTURE = 8_000_000;
/** Latents on the side of a group of chunks. A group is analyzed together, so that its halo is computed once. */
const GROUP_LATENTS = 64;

/**
 * Encodes a raster into the bytes of a .liif file. The same picture and options give the same bytes on every machine and exact engine. Alpha that is opaque
 * everywhere is left out. Do not change the samples before the promise settles. Rejects with RequestError (also where a target cannot be met) or
 * EngineError.
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

/**
 * Encodes as `encodeImage` does, into a sink, chunk by chunk; for a target, the whole file at once. Nothing is written before the options have been checked
 * and the target has been met. Rejects also with what the sink rejects with.
 */
export async function encodeImageTo(
  engine: Engine,
  raster: Raster,
  sink: Sink,
  given: EncodeOptions = {},
): Promise<EncodeSummary> {
  const options = givenEncodeOptions(given);
  expectEngine(engine);
  expectRaster(raster, MAX_SIDE);
  const { signal } = options;
  const picture = await withoutOpaqueAlpha(raster, signal);
  const covered = options.keepHiddenColors ? picture : await coverHiddenColors(picture, signal);
  const rasters = await withOverviews(covered, options);
  if (options.targetSize === undefined && options.targetPsnr === undefined)
    return encodeAt(engine, rasters, sink, options.quality ?? DEFAULT_QUALITY, options);
  const found = await encodeToTarget(engine, rasters, options);
  await sink.write(found.bytes);
  return found.summary;
}

/** A trial of a search. `psnr` is NaN unless the target is one. */
interface Encoded {
  readonly bytes: Uint8Array;
  readonly summary: EncodeSummary;
  readonly psnr: number;
}

async function encodeToTarget(
  engine: Engine,
  rasters: readonly Raster[],
  options: EncodeOptions,
): Promise<Encoded> {
  const { targetSize, targetPsnr, onProgress, ...rest } = options;
  if (targetPsnr !== undefined && !engine.exact)
    throw new RequestError(
      `A quality for a PSNR is found by decoding, and the ${engine.name} engine is not exact: the file would depend on the machine`,
    );
  const trial = async (quality: number, how: EncodeOptions): Promise<Encoded> => {
    const sink = new MemorySink();
    const summary = await encodeAt(engine, rasters, sink, quality, how);
    const bytes = sink.bytes();
    if (targetPsnr === undefined) return { bytes, summary, psnr: Number.NaN };
    const raster = rasters[0]!;
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
  // Optimizing takes long and moves the quality by little: search without it first.
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

/** `rasters`: the picture and its overviews. */
async function encodeAt(
  engine: Engine,
  rasters: readonly Raster[],
  sink: Sink,
  quality: number,
  options: EncodeOptions,
): Promise<EncodeSummary> {
  const raster = rasters[0]!;
  const header = headerOf(engine.model, rasters, quality, options);
  const writer = await ContainerWriter.begin(sink, header, sectionsOf(options));
  const order = chunkList(header);
  await encodeChunks(engine, rasters, header, new OrderedChunks(writer, order), options);
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

/** The picture and its reduced copies, from level 0 on. */
async function withOverviews(raster: Raster, options: EncodeOptions): Promise<Raster[]> {
  const rasters = [raster];
  for (let count = levelCount(raster, options); rasters.length < count; ) {
    options.signal?.throwIfAborted();
    rasters.push(await reduce(rasters.at(-1)!, factorOf(options), options.signal));
  }
  return rasters;
}

function headerOf(model: Model, rasters: readonly Raster[], quality: number, options: EncodeOptions): Header {
  const raster = rasters[0]!;
  return {
    width: raster.width,
    height: raster.height,
    channels: raster.channels >= 3 ? 3 : 1,
    alpha: hasAlpha(raster.channels),
    depth: options.depth ?? depthOf(raster),
    // Gray is the same in all color spaces.
    ...(raster.channels >= 3 && raster.colorSpace === 'display-p3' && { colorSpace: raster.colorSpace }),
    quality,
    model: fromHexadecimal(model.hash),
    encoder: `liif ${VERSION}`,
    chunkSize: options.chunkSize ?? (raster.width * raster.height > LARGE_PICTURE ? 16 : 32),
    levels: rasters.length,
    overviewFactor: factorOf(options),
    sections: [],
  };
}

function sectionsOf({ sections }: EncodeOptions): [string, Uint8Array][] {
  return Object.entries(sections ?? {})
    .filter((entry): entry is [string, Uint8Array] => entry[1] !== undefined)
    .map(([type, bytes]) => [type, type === 'exif' ? withoutExifPrefix(bytes) : bytes]);
}

async function encodeChunks(
  engine: Engine,
  rasters: readonly Raster[],
  header: Header,
  ordered: OrderedChunks,
  options: EncodeOptions,
): Promise<void> {
  const { signal, onProgress } = options;
  const { chunkSize, quality } = header;
  const steps = stepsOf(options);
  // Each step of optimization counts as much as coding does.
  const total = chunkCount(header) * (1 + steps);
  let done = 0;
  const advance = (chunks: number) => {
    done += chunks;
    onProgress?.({ stage: 'encode', done, total });
  };
  advance(0);
  const plan = { engine, rasters, header, steps, measure: measureOf(options), advance, signal };
  await inParallel(steps > 0 ? OPTIMIZED_GROUPS : engine.threads + 1, groupsOf(header), async (group) => {
    const { analysis, rect } = await analyzeGroup(plan, group);
    await inParallel(engine.threads, group.chunks, async (id) => {
      const extent = chunkExtent(header, id);
      const chunk = { top: id.row * chunkSize, left: id.column * chunkSize, ...extent };
      const window = cut(analysis, rect, chunk, engine.model.latentChannels);
      const encoded = await engine.encodeChunk(window, chunk, quality, signal);
      advance(1);
      await ordered.finish(id, encoded.bytes);
    });
  });
}

interface Group {
  readonly level: number;
  readonly plane: 0 | 1;
  readonly chunks: readonly ChunkId[];
}

/** All chunks, in squares of about GROUP_LATENTS on a side, roughly in the order of the file. */
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

/** What the analysis of every group of a file needs. */
interface AnalysisPlan {
  readonly engine: Engine;
  /** The picture and its overviews, by level. */
  readonly rasters: readonly Raster[];
  readonly header: Header;
  /** Steps of optimization. */
  readonly steps: number;
  readonly measure: Measure;
  /** Counts this many chunks as one step further. */
  readonly advance: (chunks: number) => void;
  readonly signal: AbortSignal | undefined;
}

/** The analysis output over all chunks of a group, optimized if asked for, and the rectangle of latents that it covers. */
async function analyzeGroup(
  { engine, rasters, header, steps, measure, advance, signal }: AnalysisPlan,
  { level, plane, chunks }: Group,
): Promise<{ analysis: Int16Array; rect: Rect }> {
  const { model } = engine;
  const { quality, chunkSize } = header;
  const raster = rasters[level]!;
  const rect = latentsOf(header, chunks);
  const extent = latentExtent(header, level);
  const picture = scaledExtent(extent, model.latentStride);
  const pixelsOf = (window: Rect) => picturePatch(raster, plane, window, model.imageShift);
  const analyze = (latents: Rect): Promise<Int16Array> => {
    const pixels = pixelsOf(analysisWindow(model, latents, picture));
    return engine.analyze(pixels, picture, latents, quality, signal);
  };
  if (steps === 0) return { analysis: await analyze(rect), rect };
  const target = pixelsOf(shownPixels(model, raster, rect));
  const onStep = () => advance(chunks.length);
  const part = { latents: rect, level: extent, chunkSize, target, measure, analyze, onStep };
  return { analysis: await optimizedAnalysis(engine, part, quality, steps, signal), rect };
}

/** The rectangle of latents that the chunks of a group cover. */
function latentsOf(header: Header, chunks: readonly ChunkId[]): Rect {
  const { chunkSize } = header;
  const first = chunks[0]!;
  const last = chunks.at(-1)!;
  const end = chunkExtent(header, last);
  const top = first.row * chunkSize;
  const left = first.column * chunkSize;
  return {
    top,
    left,
    height: last.row * chunkSize + end.height - top,
    width: last.column * chunkSize + end.width - left,
  };
}

/** The pixels that some latents stand for, as far as they lie inside the picture. */
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

function factorOf({ overviewFactor = 4 }: EncodeOptions): 2 | 4 {
  return overviewFactor;
}

function levelCount(raster: Raster, options: EncodeOptions): number {
  const { overviews = true } = options;
  const factor = factorOf(options);
  const wanted = overviews === true ? Number.POSITIVE_INFINITY : Number(overviews);
  let levels = 1;
  let side = Math.max(raster.width, raster.height);
  while (levels <= wanted && levels < MAX_LEVELS && side > (overviews === true ? OVERVIEW_LIMIT : 1)) {
    side = Math.ceil(side / factor);
    levels++;
  }
  return levels;
}
