import { open } from 'node:fs/promises';

/** Reads a part of an image: less where the image ends. */
export type Parts = (at: number, length: number) => Promise<DataView>;

/** For what looks at the structure of an image, by its path or its bytes, without reading it whole. */
export async function withParts<T>(
  image: string | Uint8Array,
  use: (parts: Parts) => Promise<T>,
): Promise<T> {
  if (typeof image !== 'string') return use(async (at, length) => viewOf(image.subarray(at, at + length)));
  const file = await open(image);
  try {
    return await use(async (at, length) => {
      const { buffer, bytesRead } = await file.read(new Uint8Array(length), 0, length, at);
      return viewOf(buffer.subarray(0, bytesRead));
    });
  } finally {
    await file.close();
  }
}

function viewOf({ buffer, byteOffset, length }: Uint8Array): DataView {
  return new DataView(buffer, byteOffset, length);
}

/** Four characters, as kinds of tags and boxes are named. */
export function textAt(view: DataView, at: number): string {
  return String.fromCharCode(
    view.getUint8(at),
    view.getUint8(at + 1),
    view.getUint8(at + 2),
    view.getUint8(at + 3),
  );
}
