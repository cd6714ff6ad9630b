import { analyzeGroup, chunkGroups } from './analysis/groups.ts';
import { chunkCount, chunkExtent, chunkList } from './container/chunks.ts';
import type { Header } from './container/header.ts';
import { MAX_LEVELS, MAX_SIDE } from './container/layout.ts';
import { OrderedChunks } from './container/ordered-chunks.ts';
import { ContainerWriter, MemorySink, type Sink } from './container/write.ts';
import { type EncodeOptions, givenEncodeOptions, measureOf, stepsOf } from './encode-options.ts';
import { encodeToTarget } from './encode-to-target.ts';
import type { Engine } from './engine/engine.ts';
import { expectEngine } from './given.ts';
import { fromHexadecimal } from './hexadecimal.ts';
import { coverHiddenColors } from './image/alpha/hidden-colors.ts';
import { withoutOpaqueAlpha } from './image/alpha/opaque-alpha.ts';
import { withoutExifPrefix } from './image/metadata/exif.ts';
import { type Channels, depthOf, expectRaster, hasAlpha, type Raster } from './image/raster.ts';
import { reduce } from './image/reduce.ts';
import { hyperRect } from './network/chunk-size.ts';
import type { Model } from './network/model.ts';
import { cut } from './network/window.ts';
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
/** Pictures with a longer side get overviews, until the longer side is at most this. */
const OVERVIEW_LIMIT = 1024;
/** Groups that are optimized side by side. Each takes some 300 MB, and all threads of the engine. */
const OPTIMIZED_GROUPS = 2;
/** Pixels from which quick regions matter more than the last percent of the file. */
const LARGE_PICTURE = 8_000_000;

/**
 * Encodes a raster into the bytes of a .liif file. The same picture and options give the same bytes on every
 * machine and exact engine. Alpha that is opaque everywhere is left out. Do not change the samples before the
 * promise settles. Rejects with RequestError (also where a target cannot be met) or EngineError.
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
 * Encodes as `encodeImage` does, into a sink, chunk by chunk; for a target, the whole file at once. Nothing
 * is written before the options have been checked and the target has been met. Rejects also with what the
 * sink rejects with.
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
  const found = await encodeToTarget(engine, covered, options, (into, quality, how) =>
    encodeAt(engine, rasters, into, quality, how),
  );
  await sink.write(found.bytes);
  return found.summary;
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
  const { model } = engine;
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
  await inParallel(steps > 0 ? OPTIMIZED_GROUPS : engine.threads + 1, chunkGroups(header), async (chunks) => {
    const { analysis, hyper, rect } = await analyzeGroup(plan, chunks);
    await inParallel(engine.threads, chunks, async (id) => {
      const extent = chunkExtent(header, id);
      const chunk = { top: id.row * chunkSize, left: id.column * chunkSize, ...extent };
      const window = cut(analysis, rect, chunk, model.latentChannels);
      const ownHyper =
        hyper && cut(hyper, hyperRect(model, rect), hyperRect(model, chunk), model.hyperChannels);
      const encoded = await engine.encodeChunk(window, chunk, quality, ownHyper, signal);
      advance(1);
      await ordered.finish(id, encoded.bytes);
    });
  });
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
