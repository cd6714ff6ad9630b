import { type Decoding, decodingOf } from '../picture/permalink.ts';
import { factsOf, goesFirst, type ShownPicture } from '../picture/shown-picture.ts';
import { overviewReduction } from '../picture/thumbnail-size.ts';
import { OverviewFirst } from '../tiles/overview-first.ts';
import { TILE_SIZE } from '../tiles/tile-source.ts';
import type { EngineFacts } from './decoder-messages.ts';
import {
  type DecodedPicture,
  type DecodingListener,
  LocalDecoder,
  type OpenOptions,
} from './local-decoder.ts';
import { LocalTileSource } from './local-tile-source.ts';

/** Address of the weights, relative to the page. */
const MODEL = 'model/liif-1.safetensors';

let shared: LocalDecoder | undefined;

/**
 * Opens a file, with the one decoder of this page; the first file of a model fetches its weights. Rejects
 * with DecodeError, with TileError where the file is not of the edition, or with the signal's reason.
 */
export async function openLocally(
  file: string | Blob,
  decoding: Decoding,
  options: OpenOptions,
): Promise<DecodedPicture> {
  const engine = decoding === 'here' ? 'auto' : decoding;
  if (!shared || shared.engine !== engine || shared.ended) {
    shared?.retire();
    shared = new LocalDecoder(new URL(MODEL, document.baseURI).href, engine);
  }
  return shared.openPicture(file, options);
}

/**
 * Opens a file as a picture of the viewer. `listener` hears of the decoder until the picture is closed.
 * Rejects as `openLocally` does.
 */
export async function openPicture(
  file: string | Blob,
  title: string,
  listener: DecodingListener,
  signal: AbortSignal,
): Promise<ShownPicture> {
  const decoding = decodingOf(location.hash) ?? 'here';
  return decodedHere(await openLocally(file, decoding, { signal, listener }), title);
}

/**
 * A decoded file as a picture of the viewer. `like` is the same picture of a server, whose name and
 * comparisons it keeps.
 */
export function decodedHere(decoded: DecodedPicture, title: string, like?: ShownPicture): ShownPicture {
  const overview = new OverviewFirst();
  const source = new LocalTileSource(decoded, overview);
  const { facts } = decoded;
  const thumbnail = (signal: AbortSignal) => {
    const image = thumbnailOf(decoded, signal);
    return goesFirst(facts) ? overview.expect(image) : image;
  };
  return {
    hasAddress: like !== undefined || typeof decoded.file === 'string',
    thumbnail: like?.thumbnail ?? thumbnail,
    title,
    edition: decoded.edition,
    size: source,
    alpha: facts.alpha,
    source,
    lossless: source,
    comparisons: like?.comparisons ?? [],
    facts: like?.facts ?? factsOf(facts),
    decodedBy: engineText(decoded.engine),
    synthesizes: true,
    close: () => decoded.close(),
    samples: (window, signal) => decoded.samples(window, signal),
    valueAt: (x, y, signal) => decoded.valueAt(x, y, signal),
  };
}

/** The tile that holds the whole picture, cropped to it. Made of an overview where the file has one. */
async function thumbnailOf(decoded: DecodedPicture, signal: AbortSignal): Promise<Blob> {
  const { facts } = decoded;
  const reduction = overviewReduction(facts);
  const span = TILE_SIZE * 2 ** facts.nativeZoom;
  const size = reduction > 1 ? span / reduction : 2 * TILE_SIZE;
  const tile = await decoded.tile(0, 0n, 0n, size, signal);
  const width = Math.max(1, Math.round((facts.width * size) / span));
  const height = Math.max(1, Math.round((facts.height * size) / span));
  const canvas = new OffscreenCanvas(width, height);
  canvas.getContext('2d', { colorSpace: facts.colorSpace ?? 'srgb' })!.drawImage(tile, 0, 0);
  tile.close();
  return canvas.convertToBlob();
}

/** The name of an engine, for people. */
export function engineText({ name, threads, device }: EngineFacts): string {
  if (name === 'webgpu') return device ? `WebGPU, ${device}` : 'WebGPU';
  return threads > 1 ? `WebAssembly, ${threads} threads` : 'WebAssembly';
}
