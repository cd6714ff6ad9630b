import type { ColorCodes } from './color-codes.ts';
import { type Parts, textAt, withParts } from './parts.ts';

/** What a PNG states of its colors beside or instead of an ICC profile. */
export interface StatedColors {
  readonly codes?: ColorCodes | undefined;
  /** Where there are no codes: the exponent from light to samples. */
  readonly gamma?: number;
}

/** Limits the walk: a PNG may have any number of comments before its picture. */
const MAX_CHUNKS = 1000;

/**
 * What the chunks before the picture of a PNG state of its colors: `cICP` (PNG 3, 11.3.2.6), which outranks
 * all others; otherwise `gAMA` (11.3.2.2), which does not count beside `sRGB`. Where the file ends early, the
 * chunks up to there count.
 */
export function pngColors(image: string | Uint8Array): Promise<StatedColors> {
  return withParts(image, colorsOfChunks);
}

async function colorsOfChunks(parts: Parts): Promise<StatedColors> {
  let gamma: number | undefined;
  let isSrgb = false;
  try {
    for (let at = 8, chunk = 0; chunk < MAX_CHUNKS; chunk++) {
      const head = await parts(at, 8);
      const type = textAt(head, 4);
      if (type === 'IDAT' || type === 'IEND') break;
      const data = at + 8;
      if (type === 'cICP') {
        const view = await parts(data, 2);
        return { codes: { primaries: view.getUint8(0), transfer: view.getUint8(1) } };
      }
      if (type === 'sRGB') isSrgb = true;
      if (type === 'gAMA') gamma = (await parts(data, 4)).getUint32(0) / 100_000;
      at += 12 + head.getUint32(0);
    }
  } catch (error) {
    if (!(error instanceof RangeError)) throw error; // the file ends early
  }
  return gamma === undefined || isSrgb ? {} : { gamma };
}
