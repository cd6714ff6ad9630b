import { parentPort, workerData } from 'node:worker_threads';
import { messageOf } from '../errors.ts';
import { tiffToFill } from './tiff.ts';

export interface HeicTask {
  readonly bytes: Uint8Array;
  /** Which of its pictures. */
  readonly number: number;
  /** Of that picture, which is not decoded where it has another size. */
  readonly width: number;
  readonly height: number;
  readonly hasAlpha: boolean;
  readonly icc: Uint8Array | undefined;
}

/** The picture as a TIFF, or that nothing here decodes it, or what went wrong. */
export type HeicAnswer = Uint8Array<ArrayBuffer> | 'missing' | { readonly error: string };

/** What the package's types leave out. */
interface HeicPicture {
  readonly width: number;
  readonly height: number;
  decode(): Promise<{ readonly data: Uint8ClampedArray }>;
}

async function decoder() {
  try {
    return (await import('heic-decode')).default;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ERR_MODULE_NOT_FOUND' || code === 'MODULE_NOT_FOUND') return undefined;
    throw error;
  }
}

async function answer({ bytes, number, width, height, hasAlpha, icc }: HeicTask): Promise<HeicAnswer> {
  const decode = await decoder();
  if (decode === undefined) return 'missing';
  const pictures = (await decode.all({ buffer: bytes })) as unknown as HeicPicture[];
  const picture = pictures[number];
  if (picture?.width !== width || picture.height !== height)
    throw new Error(`it has no picture of ${width} x ${height} pixels where its header says so`);
  const { data } = await picture.decode();
  const channels = hasAlpha ? 4 : 3;
  const { tiff, samples } = tiffToFill({ width, height, channels, depth: 8, ...(icc && { icc }) });
  for (let i = 0, o = 0; i < data.length; i += 4)
    for (let c = 0; c < channels; c++) samples[o++] = data[i + c]!;
  return tiff;
}

answer(workerData as HeicTask)
  .catch((error: unknown): HeicAnswer => ({ error: messageOf(error) }))
  .then((result) =>
    parentPort!.postMessage(result satisfies HeicAnswer, result instanceof Uint8Array ? [result.buffer] : []),
  );
