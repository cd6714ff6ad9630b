/**
 * The library for Node: everything of `liif/core`, and files, images, URLs and a shared engine, so that a picture is encoded or decoded in one
 * call. The engine starts with the first call and goes when it is not needed, so programs end by themselves.
 */
import { type CallOptions, imageBands, type LiifImage, openImage } from './decode.ts';
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
import { expectRaster, type Raster } from './image/raster.ts';
import { type ImageInput, type ReadImage, readImage } from './image/read.ts';
import { expectOther } from './image/same-file.ts';
import { depthsOf, formatFor, type WriteOptions, type WriteSummary, writeImage } from './image/write.ts';
import { type ModelFile, readModel } from './model/model-file.ts';
import { releasedModel } from './model/released-model.ts';
import type { Model } from './network/model.ts';
import { openSource, type SourceInput } from './reader/open-source.ts';
import type { RenderRequest } from './render-request.ts';
import { unlessAborted } from './unless-aborted.ts';

export type { EngineChoice } from './engine/open-engine.ts';
export { ImageError, OutputError } from './image/errors.ts';
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
  type ImageFormat,
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
   * Weights of one's own: a model file, e.g. of `liif tune`, or what `readModel` has made of one. The engine encodes with them, and decodes the files that
   * name them. Default: those that come with this version.
   */
  readonly model?: ModelFile | Model;
  /** Where `auto` keeps what it has measured. Default: a file in the user's cache directory; undefined: nowhere, so it measures every time there is a choice. */
  readonly memory?: EngineSettings['memory'];
}

/** What every call here takes: an engine of one's own instead of the shared one. It stays open: close it when done. */
export interface EngineOption {
  readonly engine?: Engine;
}

/** How a picture is encoded. */
export interface EncodeInputOptions extends EncodeOptions, EngineOption {
  /** Carries ICC profile, EXIF (but of a TIFF) and XMP of an image file along. Default false. `sections` goes before it. */
  readonly keepMetadata?: boolean;
  /** Converts an image file to sRGB. Default false: colors beyond it are kept, in Display P3. */
  readonly srgb?: boolean;
}

/** What is decoded: a region and a size. */
export type DecodeOptions = RenderRequest & CallOptions & EngineOption;

/** What is decoded, and into what format. */
export interface DecodeFileOptions
  extends DecodeOptions,
    Pick<WriteOptions, 'format' | 'quality' | 'srgb' | 'onWarning'> {}

/** What has been decoded and written. */
export interface DecodeSummary extends WriteSummary {
  readonly width: number;
  readonly height: number;
  /** Bits a sample. */
  readonly depth: 8 | 16;
}

/** How a picture is opened. */
export interface OpenPictureOptions extends EngineOption {
  readonly signal?: AbortSignal;
  /** Memory for features between calls, in bytes, so that views next to each other are quick. Default 0. */
  readonly featureCacheBytes?: number;
}

/** A page is turned, a script goes on to its next file: an engine starts in a tenth of a second, and holds some hundred megabytes. */
const IDLE_MS = 10_000;

const shared = new SharedEngine({ open: () => openEngine({ mustBeExact: true }), idleMs: IDLE_MS });

/**
 * Opens an engine, with the weights of this version or those of `model`: by default the fastest exact one of this machine, which is measured once and
 * remembered. Rejects with UnsupportedError or EngineError, saying why, when the one that was asked for does not run here, but instead of `webgpu` it opens
 * wasm, with a warning; with RequestError for options that are none; and as `readModel` does.
 */
export async function openEngine(options: OpenEngineOptions = {}): Promise<Engine> {
  const { model, ...settings } = givenEngineOptions(options);
  const weights =
    model === undefined ? releasedModel() : isModel(model) ? model : readModel(model, settings.signal);
  return openEngineFor(await weights, { memory: choiceFile(), ...settings });
}

/**
 * A picture -> the bytes of its .liif file. The picture is a raster, or an image in any format that sharp reads, or HEIC: its path, `file:` URL, bytes or Blob.
 * Alpha that is opaque everywhere is left out. Options are read at the call; samples and bytes are not copied: leave them as they are until it ends. Rejects
 * with RequestError, SourceError, UnsupportedError or EngineError.
 */
export async function encode(
  picture: Raster | ImageInput,
  options: EncodeInputOptions = {},
): Promise<Uint8Array> {
  const given = givenEncodeOptions(givenCallOptions(options));
  const { raster, settings } = await encoderInput(picture, given);
  return encodeImage(await engineFor(given), raster, settings);
}

/** As `encode`, into a file, named by its path or `file:` URL, that appears when it is complete, and is not the picture's own. */
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
 * Opens a .liif file and reads its header and index; pixels are decoded as they are asked for, from the bytes that they need. Close it when
 * done. Rejects with SourceError, FormatError, UnsupportedError or EngineError.
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

/** A region of a .liif file, or all of it, at any size, as samples in memory. Rejects as `open` and `LiifImage.render` do. */
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
 * As `decode`, into an image file, named by its path or `file:` URL (PNG, JPEG, WebP, AVIF, TIFF or raw, by its ending), in bounded memory. 16 bits stay 16 where the format holds
 * them. Rejects also with OutputError where the file cannot be written.
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
    const written = await writeImage(picture, output, settings);
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
 * An engine of the caller's own, or the shared one, which goes on opening for others where the call is aborted. Nothing is opened for a call that fails by its
 * options, or by its input.
 */
async function engineFor({ engine, signal }: EngineOption & CallOptions): Promise<Engine> {
  signal?.throwIfAborted();
  return engine ?? unlessAborted(signal, shared.engine());
}

/** `givenCallOptions`, with a copy of the region too. */
function givenRequest<T extends DecodeOptions>(options: T): T {
  const given = givenCallOptions(options);
  const { region } = given;
  return region ? { ...given, region: { ...region } } : given;
}

/** `givenOptions` of any call here, whose engine and listener are checked. */
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
