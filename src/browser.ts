/**
 * The decoder for browsers: `.liif` files behind any static host (read by ranges) or dropped into the page, decoded by WebGPU or WebAssembly. Only the
 * weights that decoding needs are fetched, once.
 */
import { type EngineOfModel, type LiifImage, openImage } from './decode.ts';
import type { Engine } from './engine/engine.ts';
import { type BrowserEngineOptions, openBrowserEngine } from './engine/open-browser-engine.ts';
import { UnsupportedError } from './errors.ts';
import { givenOptions, refuse } from './given.ts';
import type { Raster } from './image/raster.ts';
import { toSrgb } from './image/to-srgb.ts';
import { RELEASED_DECODER_HASH } from './model/decoder-hashes.ts';
import { browserModelCache } from './network/browser-cache.ts';
import { loadDecoderModel, type ModelCache } from './network/decoder-model.ts';
import { largestBlock } from './pixels/render.ts';
import { nativeZoom, TILE_SIZE, tileQuery } from './pixels/tile.ts';
import { blobSource } from './reader/blob-source.ts';
import { httpSource } from './reader/http-source.ts';

export * from './common-exports.ts';
export type { BrowserEngineOptions } from './engine/open-browser-engine.ts';
export type { ModelCache } from './network/decoder-model.ts';
export { nativeZoom, TILE_SIZE };

/** How an engine is opened in a page. */
export interface EngineOptions extends BrowserEngineOptions {
  /** Address of the model file that comes with this package (`liif/model`), or of one's own, on a host that answers ranges. */
  readonly model: string | URL;
  /** Where weights are kept between visits. Default: the browser's Cache API; null: nowhere. */
  readonly cache?: ModelCache | null;
  /**
   * What the decoder's part of a model of one's own has to hash to: weights may come from anywhere. `model/models.json` of `liif viewer --model FILE` has it.
   * Default: that of the released model.
   */
  readonly decoderHash?: string;
  /** Told of the weights: bytes that have come, and all that will. */
  readonly onProgress?: (loaded: number, total: number) => void;
}

/**
 * Opens an engine for files of the released model, or of one's own; several pictures share it. Rejects with RequestError, SourceError, FormatError, UnsupportedError
 * (pages that are not served securely) or EngineError.
 */
export async function openEngine(options: EngineOptions): Promise<Engine> {
  const { signal, cache = browserModelCache, onProgress } = givenOptions(options);
  // Chromium's cache breaks off and repeats ranges that are asked for side by side; weights are kept by their hash instead.
  const source = httpSource(addressOf(options.model, 'model'), {
    fetch: (url, init) => fetch(url, { ...init, cache: 'no-store' }),
  });
  try {
    const loading = loadDecoderModel((...range) => source.getBytes(...range), {
      decoderHash: options.decoderHash ?? RELEASED_DECODER_HASH,
      ...(cache && { cache }),
      ...(signal && { signal }),
      ...(onProgress && { onProgress }),
    });
    return await openBrowserEngine(loading, options);
  } finally {
    await source.close();
  }
}

/** How a picture is opened in a page. */
export interface OpenOptions {
  /** An engine of the model that the file names, or what gives one when the file has said which. */
  readonly engine: Engine | EngineOfModel;
  /** Bound of the features that stay in memory, in bytes: what makes panning and zooming quick. Default 256 MiB. */
  readonly featureCacheBytes?: number;
  /** Asks for an address, instead of the global fetch. */
  readonly fetch?: typeof globalThis.fetch;
  readonly signal?: AbortSignal;
}

/**
 * Opens a picture: an address, or a file that was dropped or chosen. Its header and index are read, nothing else. Close it when done. Rejects with
 * RequestError, SourceError, FormatError or UnsupportedError.
 */
export async function open(file: string | URL | Blob, options: OpenOptions): Promise<LiifImage> {
  const source =
    file instanceof Blob
      ? blobSource(file)
      : httpSource(addressOf(file, 'file', 'an address or a Blob'), options);
  return openImage(source, { featureCacheBytes: FEATURE_CACHE_BYTES, ...options });
}

/**
 * Tile z/x/y with `size` pixels on its side (TILE_SIZE, or 2 to 4 times that), ready to draw; transparent beyond the picture. The very pixels that the
 * tile server has. The tile must touch the picture.
 */
export async function renderTile(
  image: LiifImage,
  z: number,
  x: bigint,
  y: bigint,
  size: number = TILE_SIZE,
  signal?: AbortSignal,
): Promise<ImageData> {
  const query = tileQuery(image, z, x, y, size);
  // Features are made and kept in squares, as in the tile server.
  const blocks = { size: Math.min(512, largestBlock(image.engine.model.head.hidden)), fitted: false };
  const raster = await image.renderRows(query, 0, query.height, blocks, signal);
  return toImageData(raster, size, size);
}

/**
 * Samples of 8 bits as RGBA, in the upper left corner of `width` x `height` transparent pixels. Its color space is the raster's, and sRGB in browsers whose
 * pages know no other (Firefox).
 */
export function toImageData(
  raster: Raster,
  width: number = raster.width,
  height: number = raster.height,
): ImageData {
  const { channels, data, colorSpace } = raster;
  if (data instanceof Uint16Array)
    throw new UnsupportedError('ImageData has 8 bits a sample; render with depth 8');
  const pixels = new Uint8ClampedArray(width * height * 4);
  const gray = channels < 3;
  const alpha = channels % 2 === 0;
  for (let row = 0, i = 0; row < raster.height; row++) {
    for (let column = 0, o = row * width * 4; column < raster.width; column++, i += channels, o += 4) {
      pixels[o] = data[i]!;
      pixels[o + 1] = data[gray ? i : i + 1]!;
      pixels[o + 2] = data[gray ? i : i + 2]!;
      pixels[o + 3] = alpha ? data[i + channels - 1]! : 255;
    }
  }
  const image = new ImageData(pixels, width, height, colorSpace && { colorSpace });
  return colorSpace && image.colorSpace !== colorSpace ? toImageData(toSrgb(raster), width, height) : image;
}

/** Relative to the page, or, in a worker, to its script. Throws RequestError for what is no address. */
function addressOf(url: string | URL, name: string, expected = 'an address'): URL {
  try {
    // Anything else has no `trim`, and would be the address of its text.
    const text = (url as URL).href ?? (url as string).trim();
    return new URL(text, globalThis.document?.baseURI ?? location.href);
  } catch {
    return refuse(name, expected, url);
  }
}

const FEATURE_CACHE_BYTES = 256 * 2 ** 20;
