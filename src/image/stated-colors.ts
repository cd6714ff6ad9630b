import { box, HEAD_BYTES } from './heif-boxes.ts';
import { textAt } from './icc.ts';
import { type Parts, withParts } from './parts.ts';
import { PNG_SIGNATURE, pngChunks } from './png-chunks.ts';

/** Color primaries and transfer characteristics, as numbers of ITU-T H.273. */
export interface StatedColors {
  readonly primaries: number;
  readonly transfer: number;
}

/**
 * What an AVIF, HEIC or PNG states of its colors by numbers instead of a profile, which sharp passes over: the first `nclx` of a HEIF's properties
 * (ISO/IEC 23008-12, 6.5.5), the chunk `cICP` of a PNG (PNG 3, 11.3.2.6). Undefined where it states nothing.
 */
export function statedColors(image: string | Uint8Array): Promise<StatedColors | undefined> {
  return withParts(image, async (parts) => {
    try {
      const head = await parts(0, HEAD_BYTES);
      return head.getUint32(0) === PNG_SIGNATURE ? await ofPng(parts) : ofHeif(head);
    } catch (error) {
      if (error instanceof RangeError) return undefined; // it goes on beyond what is there
      throw error;
    }
  });
}

/** H.273, 8.1 and 8.2. Curves of HDR: PQ and HLG. Those of television are shown as sRGB's. */
const PRIMARIES = { bt709: 1, bt2020: 9, displayP3: 12 } as const;
/** Of television, and sRGB's. */
const SDR = [1, 6, 13, 14, 15];
const HDR: Readonly<Record<number, string>> = { 16: 'PQ', 18: 'HLG' };

export function isDisplayP3(stated: StatedColors | undefined): boolean {
  return stated?.primaries === PRIMARIES.displayP3 && HDR[stated.transfer] === undefined;
}

/** Whether they are what is known here, so that a profile beside them counts no more: PNG 3, 4.3. */
export function isKnown({ primaries, transfer }: StatedColors): boolean {
  return (primaries === PRIMARIES.bt709 || primaries === PRIMARIES.displayP3) && SDR.includes(transfer);
}

/** Whether it is HDR, which a profile beside it does not change. */
export function isHdr({ transfer }: StatedColors): boolean {
  return HDR[transfer] !== undefined;
}

/** What nobody here knows to convert, for people. */
export function unknownColors({ primaries, transfer }: StatedColors): string | undefined {
  const curve = HDR[transfer];
  if (curve) return `is HDR (${curve}), and read as if it were not: it will look dull`;
  if (primaries === PRIMARIES.bt2020) return 'has colors of BT.2020, which are taken for those of sRGB';
  return undefined;
}

async function ofPng(parts: Parts): Promise<StatedColors | undefined> {
  for await (const { type, at } of pngChunks(parts)) {
    if (type !== 'cICP') continue;
    const view = await parts(at, 2);
    return { primaries: view.getUint8(0), transfer: view.getUint8(1) };
  }
  return undefined;
}

function ofHeif(view: DataView): StatedColors | undefined {
  const meta = box(view, 'meta', 0, view.byteLength);
  const properties = meta && box(view, 'iprp', meta.from + 4, meta.to);
  const container = properties && box(view, 'ipco', properties.from, properties.to);
  for (let from = container?.from; from !== undefined; ) {
    const found = box(view, 'colr', from, container!.to);
    if (found && textAt(view, found.from) === 'nclx')
      return { primaries: view.getUint16(found.from + 4), transfer: view.getUint16(found.from + 6) };
    from = found?.to;
  }
  return undefined;
}
