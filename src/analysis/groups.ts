import { type ChunkId, chunkExtent, chunkList, latentExtent } from '../container/chunks.ts';
import type { Header } from '../container/header.ts';
import type { Engine, Rect } from '../engine/engine.ts';
import type { Raster } from '../image/raster.ts';
import type { Model } from '../network/model.ts';
import { analysisWindow, scaledExtent, sitesOf } from '../network/window.ts';
import { type OptimizedAnalysis, optimizedAnalysis } from './optimize.ts';
import { picturePatch } from './picture.ts';
import type { Measure } from './sample-errors.ts';

/**
 * Latents on the side of a group of chunks. A group is analyzed together, so that its halo is computed once.
 */
const GROUP_LATENTS = 64;

/** All chunks, in squares of about GROUP_LATENTS on a side, roughly in the order of the file. */
export function chunkGroups(header: Header): ChunkId[][] {
  const side = Math.ceil(GROUP_LATENTS / header.chunkSize);
  const groups = new Map<string, ChunkId[]>();
  for (const id of chunkList(header)) {
    const key = `${id.level}/${id.plane}/${Math.floor(id.row / side)}/${Math.floor(id.column / side)}`;
    const group = groups.get(key);
    if (group) group.push(id);
    else groups.set(key, [id]);
  }
  return [...groups.values()];
}

/** What the analysis of every group of a file needs. */
export interface AnalysisPlan {
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

/**
 * The analysis output over all chunks of a group, optimized if asked for, and the rectangle of latents that
 * it covers.
 */
export async function analyzeGroup(
  { engine, rasters, header, steps, measure, advance, signal }: AnalysisPlan,
  chunks: readonly ChunkId[],
): Promise<OptimizedAnalysis & { readonly rect: Rect }> {
  const { model } = engine;
  const { quality, chunkSize } = header;
  const { level, plane } = chunks[0]!;
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
  return { ...(await optimizedAnalysis(engine, part, quality, steps, signal)), rect };
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
