import { box, HEAD_BYTES } from './heif-boxes.ts';
import { textAt, withParts } from './parts.ts';
import { PNG_SIGNATURE, pngColors } from './png-colors.ts';

/** Color primaries and transfer characteristics, as code points of ITU-T H.273. */
export interface ColorCodes {
  readonly primaries: number;
  readonly transfer: number;
}

/** What an image states of its colors beside or instead of an ICC profile. */
export interface StatedColors {
  readonly codes?: ColorCodes;
  /** Of a PNG without codes: the exponent from light to samples. */
  readonly gamma?: number;
}

/**
 * What an AVIF, HEIC or PNG states of its colors without a profile, which sharp does not report: the first `nclx` among the properties of a HEIF
 * (ISO/IEC 23008-12, 6.5.5), the chunks of a PNG. Empty for other images, and where the statement is cut off.
 */
export function statedColors(image: string | Uint8Array): Promise<StatedColors> {
  return withParts(image, async (parts) => {
    try {
      const head = await parts(0, HEAD_BYTES);
      return head.getUint32(0) === PNG_SIGNATURE ? await pngColors(parts) : heifColors(head);
    } catch (error) {
      if (error instanceof RangeError) return {}; // the file ends early
      throw error;
    }
  });
}

/** Code points of H.273, 8.1. */
const PRIMARIES = { bt709: 1, bt2020: 9, displayP3: 12 } as const;
/** Code points of H.273, 8.2: the curves of television, which screens show as sRGB's, and sRGB's own. */
const SDR = [1, 6, 13, 14, 15];
const HDR: Readonly<Record<number, string>> = { 16: 'PQ', 18: 'HLG' };

/** Whether the codes are those of Display P3 without HDR. */
export function isDisplayP3(codes: ColorCodes | undefined): boolean {
  return codes?.primaries === PRIMARIES.displayP3 && HDR[codes.transfer] === undefined;
}

/** Whether this library knows the codes, so that they outrank a profile beside them: PNG 3, 4.3. */
export function isKnown({ primaries, transfer }: ColorCodes): boolean {
  return (primaries === PRIMARIES.bt709 || primaries === PRIMARIES.displayP3) && SDR.includes(transfer);
}

/** Whether the curve is one of HDR, which a profile beside the codes does not change. */
export function isHdr({ transfer }: ColorCodes): boolean {
  return HDR[transfer] !== undefined;
}

/** A warning for codes that this library does not convert. */
export function unknownColors({ primaries, transfer }: ColorCodes): string | undefined {
  const curve = HDR[transfer];
  if (curve) return `is HDR (${curve}), and read as if it were not: it will look dull`;
  if (primaries === PRIMARIES.bt2020) return 'has colors of BT.2020, which are taken for those of sRGB';
  return undefined;
}

function heifColors(view: DataView): StatedColors {
  const meta = box(view, 'meta', 0, view.byteLength);
  const properties = meta && box(view, 'iprp', meta.from + 4, meta.to);
  const container = properties && box(view, 'ipco', properties.from, properties.to);
  for (let from = container?.from; from !== undefined; ) {
    const found = box(view, 'colr', from, container!.to);
    if (found && textAt(view, found.from) === 'nclx')
      return {
        codes: { primaries: view.getUint16(found.from + 4), transfer: view.getUint16(found.from + 6) },
      };
    from = found?.to;
  }
  return {};
}
