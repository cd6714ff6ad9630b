/**
 * The decoder for browsers: it reads `.liif` files from any static host, by ranges, or from files dropped
 * into the page, and decodes by WebGPU or WebAssembly. It fetches only the weights that decoding needs, once.
 */
import { type EngineOfModel, type LiifImage, openImage } from './decode.ts';
import type { Engine } from './engine/engine.ts';
import { type BrowserEngineOptions, openBrowserEngine } from './engine/open-browser-engine.ts';
import { UnsupportedError } from './errors.ts';
import { givenOptions, refuse } from './given.ts';
import { toSrgb } from './image/color/to-srgb.ts';
import type { Raster } from './image/raster.ts';
import { RELEASED_DECODER_HASH } from './model/decoder-hashes.ts';
import { browserModelCache } from './network/browser-cache.ts';
import { loadDecoderModel, type ModelCache } from './network/decoder-model.ts';
import { largestBlock } from './pixels/blocks.ts';
import { nativeZoom, TILE_SIZE, tileQuery } from './pixels/tile.ts';
import { blobSource } from './reader/blob-source.ts';
import { httpSource } from './reader/http-source.ts';

export * from './common-exports.ts';
export type { BrowserEngineOptions } from './engine/open-browser-engine.ts';
export type { ModelCache } from './network/decoder-model.ts';
export { nativeZoom, TILE_SIZE };

/** How an engine is opened in a page. */
export interface EngineOptions extends BrowserEngineOptions {
  /**
   * Address of the model file that comes with this package (`liif/model`), or of a model of one's own. Its
   * host has to answer ranges.
   */
  readonly model: string | URL;
  /** Where weights are kept between visits. Default: the Cache API of the browser. Null: nowhere. */
  readonly cache?: ModelCache | null;
  /**
   * Hash that the decoder's part of the model must have, since weights may come from anywhere: SHA-256 in
   * lower-case hexadecimal. For a model of one's own, `model/models.json` of `liif viewer --model FILE` lists
   * it. Default: that of the released model.
   */
  readonly decoderHash?: string;
  /** Called while weights arrive, with the bytes so far and the bytes in all. */
  readonly onProgress?: (loaded: number, total: number) => void;
}

/**
 * Opens an engine for files of one model, the released one or one's own. Several pictures may share the
 * engine; close it when done.
 *
 * Rejects with RequestError (wrong options), SourceError (weights do not arrive), FormatError (weights have
 * another hash), UnsupportedError (the page is not served securely) or EngineError.
 *
 * @example
 * const engine = await openEngine({ model: '/liif-1.safetensors' });
 */
export async function openEngine(options: EngineOptions): Promise<Engine> {
  const { signal, cache = browserModelCache, onProgress } = givenOptions(options);
  // Chromium's cache breaks off and repeats parallel requests for ranges; `cache` keeps the weights by their
  // hash instead.
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
  /** An engine of the file's model, or a function that gives one for the hash of that model. */
  readonly engine: Engine | EngineOfModel;
  /** Most bytes of features that stay in memory, so that panning and zooming are quick. Default 256 MiB. */
  readonly featureCacheBytes?: number;
  /** Used for an address instead of the global fetch. */
  readonly fetch?: typeof globalThis.fetch;
  /** Aborts the opening. */
  readonly signal?: AbortSignal;
}

/**
 * Opens a picture: an address, or a file that was dropped or chosen. Only header and index are read. Close
 * the picture when done. Rejects with RequestError, SourceError, FormatError or UnsupportedError.
 *
 * @example
 * const picture = await open('photo.liif', { engine });
 * const raster = await picture.render({ width: 800 });
 * canvas.getContext('2d').putImageData(toImageData(raster), 0, 0);
 */
export async function open(file: string | URL | Blob, options: OpenOptions): Promise<LiifImage> {
  const source =
    file instanceof Blob
      ? blobSource(file)
      : httpSource(addressOf(file, 'file', 'an address or a Blob'), options);
  return openImage(source, { featureCacheBytes: FEATURE_CACHE_BYTES, ...options });
}

/**
 * Tile z/x/y of a picture, `size` x `size` pixels, ready to draw. Its pixels are those that the tile server
 * sends; beyond the picture they are transparent. `z`: zoom, 0 being the whole picture in one tile. `x`, `y`:
 * column and row; the tile must touch the picture. `size`: TILE_SIZE, or 2 to 4 times that.
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
 * A raster of 8 bits as RGBA, in the upper left corner of `width` x `height` transparent pixels (default: the
 * size of the raster). The color space is that of the raster, or sRGB in browsers whose pages know no other
 * (Firefox). Throws UnsupportedError for 16 bits.
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

/**
 * Resolves an address against the page or, in a worker, its script. Throws RequestError for what is no
 * address.
 */
function addressOf(url: string | URL, name: string, expected = 'an address'): URL {
  try {
    // `trim` throws for anything but text, which URL would convert to text.
    const text = (url as URL).href ?? (url as string).trim();
    return new URL(text, globalThis.document?.baseURI ?? location.href);
  } catch {
    return refuse(name, expected, url);
  }
}

const FEATURE_CACHE_BYTES = 256 * 2 ** 20;
