/** Color primaries and transfer characteristics, as code points of ITU-T H.273. */
export interface ColorCodes {
  readonly primaries: number;
  readonly transfer: number;
}

/** Code points of H.273, 8.1. */
const PRIMARIES = { bt709: 1, bt2020: 9, displayP3: 12 } as const;
/** Code points of H.273, 8.2: the curves of television, which screens show as sRGB's, and sRGB's own. */
const SDR = [1, 6, 13, 14, 15];
const HDR: Readonly<Record<number, string>> = { 16: 'PQ', 18: 'HLG' };

/** Whether the codes are those of Display P3 without HDR. */
export function isDisplayP3({ primaries, transfer }: ColorCodes): boolean {
  return primaries === PRIMARIES.displayP3 && HDR[transfer] === undefined;
}

/** Whether this library knows the codes, so that they outrank a profile beside them: PNG 3, 4.3. */
export function isKnown({ primaries, transfer }: ColorCodes): boolean {
  return (primaries === PRIMARIES.bt709 || primaries === PRIMARIES.displayP3) && SDR.includes(transfer);
}

/**
 * A warning for codes that this library does not convert. A profile beside them changes the primaries, but
 * not that they are of HDR.
 */
export function unknownColors(
  { primaries, transfer }: ColorCodes,
  besideProfile: boolean,
): string | undefined {
  const curve = HDR[transfer];
  if (curve) return `is HDR (${curve}), and read as if it were not: it will look dull`;
  if (primaries === PRIMARIES.bt2020 && !besideProfile)
    return 'has colors of BT.2020, which are taken for those of sRGB';
  return undefined;
}
