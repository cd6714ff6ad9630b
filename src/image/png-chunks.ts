import { textAt } from './icc.ts';
import type { Parts } from './parts.ts';

/** The first of its two words: PNG 3, 5.2. */
export const PNG_SIGNATURE = 0x89504e47;
/** Before the picture: comments and their like. */
const MAX_CHUNKS = 1000;

/** The chunks of a PNG before its picture, and where their data begin. Throws RangeError where it ends early. */
export async function* pngChunks(
  parts: Parts,
): AsyncGenerator<{ readonly type: string; readonly at: number }, void, undefined> {
  for (let at = 8, chunk = 0; chunk < MAX_CHUNKS; chunk++) {
    const view = await parts(at, 8);
    const type = textAt(view, 4);
    if (type === 'IDAT' || type === 'IEND') return;
    yield { type, at: at + 8 };
    at += 12 + view.getUint32(0);
  }
}
