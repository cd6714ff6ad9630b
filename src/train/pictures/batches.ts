import type { WindowPlace } from '../enlargement.ts';
import { integerBetween, type Random } from '../random.ts';
import { cropOf, type Piece, resampled } from './corpus.ts';

/** The pictures of one training step. Samples are 0..255. */
export interface Batch {
  /** (count, side, side, 3): the pictures that are coded. */
  readonly pictures: Float32Array;
  readonly count: number;
  readonly side: number;
  /** (count), quality - 1. */
  readonly quality: Int32Array;
  /** Seed of the noise in the place of rounding. */
  readonly noiseSeed: number;
  /**
   * For an enlargement: the window that is decoded, and its samples (count, size, size, 3). Without it, the
   * target is `pictures`.
   */
  readonly enlarged?: { readonly place: WindowPlace; readonly target: Float32Array };
}

export interface BatchOptions {
  readonly pieces: readonly Piece[];
  readonly random: Random;
  readonly count: number;
  /** Side of the pictures in pixels, a multiple of 128. Pieces are at least as large. */
  readonly side: number;
  /** Lowest and highest quality. */
  readonly qualities: readonly [number, number];
}

/** Share of batches that train an enlargement. Its scale is random, as in the LIIF paper. */
const ENLARGED_SHARE = 0.3;
/**
 * Share of the other batches whose pictures are coded at their own size. The rest is reduced by
 * 1..LARGEST_REDUCTION first, for more kinds of detail.
 */
const RAW_SHARE = 0.8;
const LARGEST_REDUCTION = 1.5;
const LARGEST_SCALE = 4;

/** A random batch: at native scale, or with probability ENLARGED_SHARE of an enlargement. */
export function nextBatch(options: BatchOptions): Promise<Batch> {
  return options.random() < ENLARGED_SHARE ? enlargedBatch(options) : nativeBatch(options);
}

/** A batch at native scale. */
export async function nativeBatch(options: BatchOptions): Promise<Batch> {
  const { count, side, random } = options;
  const wanted = random() < RAW_SHARE ? side : Math.round(side * (1 + random() * (LARGEST_REDUCTION - 1)));
  const pictures = new Float32Array(count * side * side * 3);
  for (let i = 0; i < count; i++) {
    const piece = choosePiece(options);
    const size = Math.min(wanted, piece.width, piece.height);
    const crop = cropOf(piece, size, random);
    pictures.set(await resampled(crop, size, side), i * side * side * 3);
  }
  return { pictures, count, side, ...chosen(options, count) };
}

/**
 * Twice as many pictures of half the side, so that a batch costs about the same. The window has the size of
 * the pictures.
 */
async function enlargedBatch(options: BatchOptions): Promise<Batch> {
  const { random } = options;
  const count = 2 * options.count;
  const side = options.side / 2;
  const pieces = Array.from({ length: count }, () => choosePiece(options));
  const room = Math.min(...pieces.map(({ width, height }) => Math.min(width, height)));
  const size = Math.min(room, Math.floor(side * (1 + random() * (LARGEST_SCALE - 1))));
  const [top, left] = [
    integerBetween(random, 0, size - side + 1),
    integerBetween(random, 0, size - side + 1),
  ];
  const length = side * side * 3;
  const pictures = new Float32Array(count * length);
  const target = new Float32Array(count * length);
  for (const [i, piece] of pieces.entries()) {
    const crop = cropOf(piece, size, random);
    pictures.set(await resampled(crop, size, side), i * length);
    for (let row = 0; row < side; row++) {
      const from = ((top + row) * size + left) * 3;
      target.set(crop.subarray(from, from + side * 3), i * length + row * side * 3);
    }
  }
  const place = { scale: size / side, top, left, size: side };
  return { pictures, count, side, ...chosen(options, count), enlarged: { place, target } };
}

const choosePiece = ({ pieces, random }: BatchOptions): Piece =>
  pieces[integerBetween(random, 0, pieces.length)]!;

function chosen({ qualities: [low, high], random }: BatchOptions, count: number) {
  const quality = Int32Array.from({ length: count }, () => integerBetween(random, low, high + 1) - 1);
  return { quality, noiseSeed: integerBetween(random, 0, 2 ** 31) };
}
