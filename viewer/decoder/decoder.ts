// Runs in a worker, so that decoding never holds up a frame of the page.
import {
  type Engine,
  isLiifError,
  type LiifImage,
  nativeZoom,
  open,
  openEngine,
  type Raster,
  RequestError,
  renderTile,
  SourceError,
  toImageData,
  UnsupportedError,
} from '../../src/browser.ts';
import { messageOf } from '../../src/errors.ts';
import { parseDecimal } from '../../src/head/rational.ts';
import { DECODER_HASHES } from '../../src/model/decoder-hashes.ts';
import { MODEL_LIST, readModelList } from '../../src/model/model-list.ts';
import { pointQuery } from '../../src/pixels/tile.ts';
import type { Sample } from '../picture/shown-picture.ts';
import { versionIn } from '../tiles/edition.ts';
import type {
  DecoderQuestion,
  DecoderResult,
  EngineFacts,
  FromDecoder,
  PictureFacts,
  ToDecoder,
} from './decoder-messages.ts';
import { keptOrPacked } from './packed-weights.ts';

/** Engines by the hash of their model. */
const engines = new Map<string, Promise<Engine>>();
const pictures = new Map<number, LiifImage>();
const running = new Map<number, AbortController>();

function post(message: FromDecoder, transfer: Transferable[] = []): void {
  postMessage(message, { transfer });
}

function pictureOf(number: number): LiifImage {
  const picture = pictures.get(number);
  if (!picture) throw new Error('The picture has been closed');
  return picture;
}

type Opening = Extract<DecoderQuestion, { readonly kind: 'open' }>;
type Settings = Pick<Opening, 'model' | 'engine'>;

/**
 * The engine of a model, opened for the first picture that names it and kept for others. A failure is not
 * kept.
 */
function engineOf(hash: string, settings: Settings): Promise<Engine> {
  let opening = engines.get(hash);
  if (!opening) {
    opening = startEngine(hash, settings);
    engines.set(hash, opening);
    opening.catch(() => engines.delete(hash));
  }
  return opening;
}

async function startEngine(hash: string, { model, engine }: Settings): Promise<Engine> {
  const weights = await weightsOf(hash, model);
  const onProgress = (loaded: number, total: number) => post({ kind: 'progress', loaded, total });
  return openEngine({
    ...weights,
    cache: keptOrPacked(weights.model, onProgress),
    engine,
    // A link that names WebGPU gets it even where it computes on the processor.
    softwareAdapter: engine === 'webgpu',
    onProgress,
    onWarning: (text) => post({ kind: 'warning', message: text }),
  });
}

/**
 * Address and decoder hash of a model's weights. Models that are not released ones are in a list of the
 * page's host.
 */
async function weightsOf(
  hash: string,
  released: string,
): Promise<{ readonly model: string; readonly decoderHash: string }> {
  const decoderHash = DECODER_HASHES.get(hash);
  if (decoderHash !== undefined) return { model: released, decoderHash };
  const list = new URL(MODEL_LIST, released);
  // Hosts without a list answer 404, or with a page.
  const response = await fetch(list, { cache: 'no-cache' }).catch(() => undefined);
  const found = response?.ok ? readModelList(await response.json().catch(() => undefined)) : [];
  const entry = found.find((one) => one.hash === hash);
  if (!entry) throw new UnsupportedError(`The file needs model ${hash}, which this page does not have.`);
  return { model: new URL(entry.file, list).href, decoderHash: entry.decoderHash };
}

function factsOf({ name, threads, device }: Engine): EngineFacts {
  return { name, threads, ...(device !== undefined && { device }) };
}

async function openPicture({ id, file, ...settings }: Opening, signal: AbortSignal): Promise<PictureFacts> {
  let version = null as string | null;
  const versioned: typeof fetch = async (...request) => {
    const response = await fetch(...request);
    version ??= versionIn(response);
    return response;
  };
  const image = await open(file, { engine: (hash) => engineOf(hash, settings), fetch: versioned, signal });
  pictures.set(id, image);
  const { width, height, header, reader } = image;
  return {
    picture: id,
    width,
    height,
    nativeZoom: nativeZoom(image),
    bytes: reader.fileLength,
    quality: header.quality,
    alpha: header.alpha,
    ...(header.colorSpace && { colorSpace: header.colorSpace }),
    levels: header.levels,
    overviewFactor: header.overviewFactor,
    ...(version !== null && { version }),
    engine: factsOf(image.engine),
  };
}

async function answer(message: DecoderQuestion, signal: AbortSignal): Promise<DecoderResult> {
  switch (message.kind) {
    case 'open':
      return openPicture(message, signal);
    case 'tile': {
      const { picture, z, x, y, size } = message;
      return createImageBitmap(await renderTile(pictureOf(picture), z, x, y, size, signal));
    }
    case 'samples': {
      const { left, top, width, height } = message.window;
      const region = { x: left, y: top, width, height };
      return toImageData(asStored(await pictureOf(message.picture).render({ region }, { signal })));
    }
    case 'value': {
      const [x, y] = [parseDecimal(message.x), parseDecimal(message.y)];
      if (!x || !y) throw new RequestError(`Expected decimals but received ${message.x}, ${message.y}`);
      const request = { ...pointQuery(x, y), allowOutside: true };
      const raster = await pictureOf(message.picture).render(request, { signal });
      return [...toImageData(asStored(raster)).data] as unknown as Sample;
    }
  }
}

/** Without the color space, so that browsers which know sRGB only do not convert the samples. */
function asStored({ colorSpace: _, ...raster }: Raster): Raster {
  return raster;
}

/** Does what a message of the page asks for, and posts the answer. Never rejects. */
export async function take(message: ToDecoder): Promise<void> {
  const { id } = message;
  if (message.kind === 'abort') {
    running.get(id)?.abort();
    return;
  }
  if (message.kind === 'close') {
    void pictures.get(message.picture)?.close();
    pictures.delete(message.picture);
    return;
  }
  const controller = new AbortController();
  running.set(id, controller);
  try {
    const result = await answer(message, controller.signal);
    post({ id, kind: 'done', result }, result instanceof ImageBitmap ? [result] : []);
  } catch (error) {
    const tag = isLiifError(error) ? error._tag : undefined;
    const code = error instanceof SourceError ? error.code : undefined;
    post({ id, kind: 'failed', message: messageOf(error), tag, code });
  } finally {
    running.delete(id);
  }
}
