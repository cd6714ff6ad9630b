/** What an AVIF or HEIC says of its picture that sharp does not report. */
import type { ColorCodes } from './color-codes.ts';
import { textAt, withParts } from './parts.ts';

/** What a HEIF says of its pictures comes this early. */
const HEAD_BYTES = 1 << 18;

/**
 * The first `nclx` among the properties (ISO/IEC 23008-12, 6.5.5); undefined if there is none, or if it is
 * cut off.
 */
export async function heifColors(image: string | Uint8Array): Promise<ColorCodes | undefined> {
  const head = await headOf(image);
  const meta = box(head, 'meta', 0, head.byteLength);
  const properties = meta && box(head, 'iprp', meta.from + 4, meta.to);
  const container = properties && box(head, 'ipco', properties.from, properties.to);
  for (let from = container?.from; from !== undefined; ) {
    const found = box(head, 'colr', from, container!.to);
    if (found && found.to - found.from >= 8 && textAt(head, found.from) === 'nclx')
      return { primaries: head.getUint16(found.from + 4), transfer: head.getUint16(found.from + 6) };
    from = found?.to;
  }
  return undefined;
}

/** Whether colors are multiplied by alpha: a reference `prem` (ISO/IEC 23008-12, 6.4.1). */
export async function isPremultiplied(image: string | Uint8Array): Promise<boolean> {
  const head = await headOf(image);
  const meta = box(head, 'meta', 0, head.byteLength);
  const references = meta && box(head, 'iref', meta.from + 4, meta.to);
  return references !== undefined && box(head, 'prem', references.from + 4, references.to) !== undefined;
}

function headOf(image: string | Uint8Array): Promise<DataView> {
  return withParts(image, (parts) => parts(0, HEAD_BYTES));
}

/** Where the content of the first box of a type lies: ISO/IEC 14496-12, 4.2. */
function box(
  view: DataView,
  type: string,
  from: number,
  to: number,
): { readonly from: number; readonly to: number } | undefined {
  for (let at = from; at + 8 <= to; ) {
    const size = view.getUint32(at);
    // 0 goes on to the end, 1 has 64 bits behind the type: boxes of images' descriptions are neither.
    if (size < 8) return undefined;
    if (textAt(view, at + 4) === type) return { from: at + 8, to: Math.min(to, at + size) };
    at += size;
  }
  return undefined;
}
