import { textAt } from './parts.ts';

/** What a HEIF says of its pictures comes this early. */
export const HEAD_BYTES = 1 << 18;

/** Where the content of the first box of a type lies: ISO/IEC 14496-12, 4.2. */
export function box(
  view: DataView,
  type: string,
  from: number,
  to: number,
): { from: number; to: number } | undefined {
  for (let at = from; at + 8 <= to; ) {
    const size = view.getUint32(at);
    // 0 goes on to the end, 1 has 64 bits behind the type: boxes of images' descriptions are neither.
    if (size < 8) return undefined;
    if (textAt(view, at + 4) === type) return { from: at + 8, to: Math.min(to, at + size) };
    at += size;
  }
  return undefined;
}
