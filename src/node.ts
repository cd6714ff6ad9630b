/**
 * The library for Node: everything of `liif/core`, and files, images, URLs and a shared engine, so that one
 * call encodes or decodes a picture. The shared engine starts with the first call and closes when it has been
 * idle for 10 seconds, so programs end by themselves.
 */
import { type CallOptions, imageBands, type LiifImage, metadataOf, openImage } from './decode.ts';
import { type EncodeOptions, type EncodeSummary, encodeImage, encodeImageTo } from './encode.ts';
import { givenEncodeOptions } from './encode-options.ts';
import { choiceFile } from './engine/choice-file.ts';
import type { Engine } from './engine/engine.ts';
import {
  type OpenEngineOptions as EngineSettings,
  givenEngineOptions,
  openEngine as openEngineFor,
} from './engine/open-engine.ts';
import { SharedEngine } from './engine/shared-engine.ts';
import { pathOf } from './file-url.ts';
import { expectEngine, expectListener, givenOptions } from './given.ts';
import { writeAtomically } from './image/atomic-file.ts';
import { depthsOf, formatFor } from './image/formats.ts';
import { expectRaster, type Raster } from './image/raster.ts';
import { type ImageInput, type ReadImage, readImage } from './image/read.ts';
import { expectOther } from './image/same-file.ts';
import { type WriteOptions, type WriteSummary, writeImage } from './image/write.ts';
import { type ModelFile, readModel } from './model/model-file.ts';
import { releasedModel } from './model/released-model.ts';
import type { Model } from './network/model.ts';
import { unlessAborted } from './on-abort.ts';
import { openSource, type SourceInput } from './reader/open-source.ts';
import type { RenderRequest } from './render-request.ts';

export type { EngineChoice } from './engine/open-engine.ts';
export { ImageError, OutputError } from './image/errors.ts';
export type { ImageFormat } from './image/formats.ts';
export {
  type ImageInput,
  type ImageMetadata,
  type ReadImage,
  type ReadOptions,
  readImage,
} from './image/read.ts';
export {
  formatImage,
  type ImageBands,
  type WriteOptions,
  type WriteSummary,
  writeImage,
} from './image/write.ts';
export * from './index.ts';
export { type MsSsim, msSsim } from './metrics/ms-ssim.ts';
export { psnr } from './metrics/psnr.ts';
export { type ModelFile, readModel } from './model/model-file.ts';
export { fileSource } from './reader/file-source.ts';
export type { SourceInput } from './reader/open-source.ts';

/** How an engine is opened. */
export interface OpenEngineOptions extends EngineSettings {
  /**
   * Weights of one's own: a model file, e.g. of `liif tune`, or a model that `readModel` has read. The engine
   * encodes with them, and decodes the files that name them. Default: the weights that come with this
   * version.
   */
  readonly model?: ModelFile | Model;
  /**
   * Where `auto` keeps its measurements. Default: a file in the user's cache directory. Undefined: nowhere,
   * so that it measures whenever there is a choice.
   */
  readonly memory?: EngineSettings['memory'];
}

/** The engine of a call. */
export interface EngineOption {
  /** An engine of one's own, from `openEngine`. The call does not close it. Default: the shared engine. */
  readonly engine?: Engine;
}

/** How an image or raster is encoded. */
export interface EncodeInputOptions extends EncodeOptions, EngineOption {
  /**
   * Copies ICC profile, EXIF (not of a TIFF) and XMP of an image into the file. Default false. Has no effect
   * where `sections` is given.
   */
  readonly keepMetadata?: boolean;
  /** Converts an image to sRGB. Default false: wider colors are kept, in Display P3. */
  readonly srgb?: boolean;
}

/** Which region is decoded, to which size. */
export type DecodeOptions = RenderRequest & CallOptions & EngineOption;

/** Which region is decoded, to which size, and into which image format. */
export interface DecodeFileOptions
  extends DecodeOptions,
    Pick<WriteOptions, 'format' | 'quality' | 'srgb' | 'onWarning'> {
  /**
   * Writes EXIF and XMP of the file into the image. Left out, with a warning, where the format has no place
   * for them: raw, EXIF in a TIFF. Default false.
   */
  readonly keepMetadata?: boolean;
}

/** The image file that `decodeFile` has written. */
export interface DecodeSummary extends WriteSummary {
  /** In pixels. */
  readonly width: number;
  /** In pixels. */
  readonly height: number;
  /** Bits of a sample. */
  readonly depth: 8 | 16;
}

/** How a .liif file is opened. */
export interface OpenPictureOptions extends EngineOption {
  /** Aborts the opening. */
  readonly signal?: AbortSignal;
  /**
   * Bytes of features that stay in memory between calls, so that neighboring views decode quickly. Default 0.
   */
  readonly featureCacheBytes?: number;
}

/**
 * Long enough for a script to go on to its next file. An engine starts in a tenth of a second and holds some
 * hundred megabytes.
 */
const IDLE_MS = 10_000;

const shared = new SharedEngine({ open: () => openEngine({ mustBeExact: true }), idleMs: IDLE_MS });

/**
 * Opens an engine with the weights of this version, or those of `model`. Default: the fastest exact engine of
 * this machine, which is measured once and remembered. Close the engine when done. Where `webgpu` is asked
 * for and does not run, wasm is opened, with a warning.
 *
 * Rejects with UnsupportedError or EngineError where the engine that was asked for does not run here, with
 * RequestError for wrong options, and as `readModel` does.
 *
 * @example
 * const engine = await openEngine();
 * for (const name of names) await encodeFile(`${name}.png`, `${name}.liif`, { engine });
 * await engine.close();
 */
export async function openEngine(options: OpenEngineOptions = {}): Promise<Engine> {
  const { model, ...settings } = givenEngineOptions(options);
  const weights =
    model === undefined ? releasedModel() : isModel(model) ? model : readModel(model, settings.signal);
  return openEngineFor(await weights, { memory: choiceFile(), ...settings });
}

/**
 * Encodes a picture into the bytes of a .liif file. The picture is a raster, or an image in any format that
 * sharp reads, or HEIC: its path, `file:` URL, bytes or Blob. Alpha that is opaque everywhere is left out.
 * Samples and bytes are not copied: do not change them before the promise settles.
 *
 * Rejects with RequestError (wrong options, a damaged image), SourceError (no such file), UnsupportedError
 * (an image that cannot be read) or EngineError.
 *
 * @example
 * const bytes = await encode('photo.jpg', { quality: 70, keepMetadata: true });
 */
export async function encode(
  picture: Raster | ImageInput,
  options: EncodeInputOptions = {},
): Promise<Uint8Array> {
  const given = givenEncodeOptions(givenCallOptions(options));
  const { raster, settings } = await encoderInput(picture, given);
  return encodeImage(await engineFor(given), raster, settings);
}

/**
 * Encodes a picture as `encode` does, into a file: its path or `file:` URL. The file appears under its name
 * when it is complete. Rejects as `encode` does, with RequestError where the file is the picture's own, and
 * with OutputError where it cannot be written.
 *
 * @example
 * const { quality, bytes } = await encodeFile('photo.jpg', 'photo.liif', { targetSize: 100_000 });
 */
export async function encodeFile(
  picture: Raster | ImageInput,
  path: string | URL,
  options: EncodeInputOptions = {},
): Promise<EncodeSummary> {
  const output = pathOf(path);
  const given = givenEncodeOptions(givenCallOptions(options));
  await expectOther(picture, output);
  // Where nothing can be written, nothing need be read.
  const { result } = await writeAtomically(output, async (file) => {
    const { raster, settings } = await encoderInput(picture, given);
    return encodeImageTo(await engineFor(given), raster, file, settings);
  });
  return result;
}

/**
 * Opens a .liif file: its path, `file:` or `http(s):` URL, bytes, Blob, or a source of one's own. Only header
 * and index are read; later calls decode the pixels that they ask for, from the bytes that these need. Close
 * the picture when done.
 *
 * Rejects with SourceError (bytes do not arrive), FormatError (the file is damaged), UnsupportedError (it
 * needs another version or model), RequestError or EngineError.
 *
 * @example
 * const picture = await open('https://example.org/map.liif');
 * const tile = await picture.render({ region: { x: 4096, y: 2048, width: 512, height: 512 } });
 * await picture.close();
 */
export async function open(file: SourceInput, options: OpenPictureOptions = {}): Promise<LiifImage> {
  const given = givenCallOptions(options);
  const { signal, featureCacheBytes } = given;
  const source = await openSource(file);
  try {
    return await openImage(source, {
      engine: await engineFor(given),
      ...(signal && { signal }),
      ...(featureCacheBytes !== undefined && { featureCacheBytes }),
    });
  } catch (error) {
    await source.close();
    throw error;
  }
}

/**
 * Decodes a .liif file, or a region of it, at any size, into samples in memory. Rejects as `open` and
 * `LiifImage.render` do.
 *
 * @example
 * const { width, height, channels, data } = await decode('photo.liif', { width: 1024 });
 */
export async function decode(file: SourceInput, options: DecodeOptions = {}): Promise<Raster> {
  const settings = givenRequest(options);
  const image = await open(file, settings);
  try {
    return await image.render(settings, settings);
  } finally {
    await image.close();
  }
}

/**
 * Decodes a .liif file as `decode` does, into an image file: its path or `file:` URL, whose ending names the
 * format (PNG, JPEG, WebP, AVIF, TIFF or raw). Memory is bounded. By default samples have the depth of the
 * picture where the format can hold it, 8 bits otherwise. Rejects as `decode` does, with RequestError for
 * what the format cannot hold, and with OutputError where the file cannot be written.
 *
 * @example
 * await decodeFile('photo.liif', 'photo.png', { scale: 2 });
 */
export async function decodeFile(
  file: SourceInput,
  path: string | URL,
  options: DecodeFileOptions = {},
): Promise<DecodeSummary> {
  const output = pathOf(path);
  const settings = givenRequest(options);
  expectListener(settings.onWarning, 'onWarning');
  const format = formatFor(output, settings);
  await expectOther(file, output);
  const image = await open(file, settings);
  try {
    const { header } = image;
    const held = depthsOf(format).includes(header.depth) ? header.depth : 8;
    const request: RenderRequest = { ...settings, depth: settings.depth ?? held };
    const picture = imageBands(image, request, settings);
    const written = await writeImage(picture, output, {
      ...settings,
      ...(settings.keepMetadata && { metadata: await metadataOf(image, settings.signal) }),
    });
    const { width, height, depth } = picture;
    return { width, height, depth, ...written };
  } finally {
    await image.close();
  }
}

async function encoderInput(
  picture: Raster | ImageInput,
  options: EncodeInputOptions,
): Promise<{ raster: Raster; settings: EncodeOptions }> {
  if (isRaster(picture)) {
    expectRaster(picture);
    return { raster: picture, settings: options };
  }
  const { signal, srgb = false } = options;
  const { raster, metadata }: ReadImage = await readImage(picture, {
    srgb,
    ...(signal && { signal }),
  });
  return {
    raster,
    settings: {
      ...options,
      ...(options.keepMetadata && { sections: options.sections ?? metadata }),
    },
  };
}

/**
 * The caller's engine, or the shared one. An aborted call does not stop the shared engine from opening for
 * others. Asked for last, so that no engine is opened for a call whose options or input are wrong.
 */
async function engineFor({ engine, signal }: EngineOption & CallOptions): Promise<Engine> {
  signal?.throwIfAborted();
  return engine ?? unlessAborted(signal, shared.engine());
}

/** As `givenCallOptions`, with a copy of the region, too. */
function givenRequest<T extends DecodeOptions>(options: T): T {
  const given = givenCallOptions(options);
  const { region } = given;
  return region ? { ...given, region: { ...region } } : given;
}

/** As `givenOptions`; checks engine and listener, too. */
function givenCallOptions<T extends EngineOption & CallOptions>(options: T): T {
  const given = givenOptions(options);
  if (given.engine !== undefined) expectEngine(given.engine);
  expectListener(given.onProgress, 'onProgress');
  return given;
}

function isRaster(picture: Raster | ImageInput): picture is Raster {
  return typeof picture === 'object' && picture !== null && 'channels' in picture;
}

function isModel(model: ModelFile | Model): model is Model {
  return typeof model === 'object' && model !== null && 'synthesis' in model;
}
