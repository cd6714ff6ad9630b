import sharp from 'sharp';
import { messageOf } from '../../errors.ts';
import { coverHiddenColors } from '../../image/alpha/hidden-colors.ts';
import { cropped, depthOf, type Raster } from '../../image/raster.ts';
import { readImage } from '../../image/read.ts';
import { integerBetween, type Random, shuffled } from '../random.ts';

/** A part of a picture: RGB, 8 bits, row-major. */
export interface Piece {
  readonly width: number;
  readonly height: number;
  readonly data: Uint8Array;
}

export interface FitOptions {
  /** Pictures with a side of fewer pixels are left out. */
  readonly smallest: number;
  readonly signal?: AbortSignal;
  /** Called for a picture that is left out; `why` names it. */
  readonly onSkip?: (why: string) => void;
}

export interface CutOptions extends FitOptions {
  /** Bytes of all pieces together. Default 2^30. */
  readonly maxBytes?: number;
  readonly random: Random;
  readonly onProgress?: (progress: { done: number; total: number }) => void;
}

/** Largest side of a piece in pixels: room for an enlargement by four of 128 sites. */
const PIECE = 512;
const PIECE_BYTES = PIECE * PIECE * 3;

/**
 * Cuts pictures into random pieces of at most 512 x 512 pixels. Training draws from the pieces, so files are
 * decoded once, and memory is bounded. A picture gives as many pieces as its area holds, but no more than its
 * share of `maxBytes`. Where there is no room for one piece of each picture, some are left out at random.
 * Resolves with the pieces and the number of pictures that they are from.
 */
export async function cutPieces(
  paths: readonly string[],
  options: CutOptions,
): Promise<{ readonly pieces: readonly Piece[]; readonly pictures: number }> {
  const { maxBytes = 2 ** 30, random, signal, onProgress } = options;
  const most = Math.max(1, Math.floor(maxBytes / PIECE_BYTES));
  const chosen = shuffled(paths, random).slice(0, most);
  const share = Math.max(1, Math.floor(most / chosen.length));
  const pieces: Piece[] = [];
  let pictures = 0;
  for (const [i, path] of chosen.entries()) {
    signal?.throwIfAborted();
    onProgress?.({ done: i, total: chosen.length });
    const picture = await readFit(path, options);
    if (!picture) continue;
    // As the encoder does.
    const raster = await coverHiddenColors(picture, signal);
    const { width, height } = raster;
    const count = Math.min(share, Math.max(1, Math.round((width * height) / PIECE ** 2)));
    for (let k = 0; k < count; k++) pieces.push(cut(raster, random));
    pictures++;
  }
  return { pieces, pictures };
}

/**
 * Reads a picture to learn from or to compare on. Undefined where it is damaged or too small; `onSkip` is
 * told why.
 */
export async function readFit(
  path: string,
  { smallest, signal, onSkip }: FitOptions,
): Promise<Raster | undefined> {
  try {
    const { raster } = await readImage(path, { ...(signal && { signal }) });
    const { width, height } = raster;
    if (Math.min(width, height) >= smallest) return raster;
    onSkip?.(`${path}: is ${width} x ${height}, and training needs ${smallest} pixels on a side`);
  } catch (error) {
    signal?.throwIfAborted();
    onSkip?.(messageOf(error));
  }
  return undefined;
}

function cut(raster: Raster, random: Random): Piece {
  const width = Math.min(PIECE, raster.width);
  const height = Math.min(PIECE, raster.height);
  const left = integerBetween(random, 0, raster.width - width + 1);
  const top = integerBetween(random, 0, raster.height - height + 1);
  const { channels, data: samples } = cropped(raster, { left, top, width, height });
  const shift = depthOf(raster) - 8;
  const data = new Uint8Array(width * height * 3);
  // Gray is repeated for R, G and B.
  const next = channels >= 3 ? 1 : 0;
  for (let from = 0, to = 0; from < samples.length; from += channels)
    for (let c = 0; c < 3; c++) data[to++] = samples[from + c * next]! >> shift;
  return { width, height, data };
}

/** A random square (size,size,3) of a piece, mirrored, flipped and transposed at random. */
export function cropOf({ width, height, data }: Piece, size: number, random: Random): Uint8Array {
  const left = integerBetween(random, 0, width - size + 1);
  const top = integerBetween(random, 0, height - size + 1);
  const [mirrored, flipped, transposed] = [random() < 0.5, random() < 0.5, random() < 0.5];
  const crop = new Uint8Array(size * size * 3);
  for (let row = 0, to = 0; row < size; row++) {
    const y = flipped ? size - 1 - row : row;
    for (let column = 0; column < size; column++, to += 3) {
      const x = mirrored ? size - 1 - column : column;
      const [dy, dx] = transposed ? [x, y] : [y, x];
      const from = ((top + dy) * width + left + dx) * 3;
      crop[to] = data[from]!;
      crop[to + 1] = data[from + 1]!;
      crop[to + 2] = data[from + 2]!;
    }
  }
  return crop;
}

/** Resamples a square (size,size,3) to (side,side,3). */
export async function resampled(square: Uint8Array, size: number, side: number): Promise<Uint8Array> {
  if (size === side) return square;
  return sharp(square, { raw: { width: size, height: size, channels: 3 } })
    .resize(side, side, { kernel: 'cubic' })
    .raw()
    .toBuffer();
}
