import { parentPort, workerData } from 'node:worker_threads';

export interface HeicTask {
  readonly bytes: Uint8Array;
  /** Of the picture, which is not decoded where it has another size. */
  readonly width: number;
  readonly height: number;
}

/** RGBA of the picture, row by row, or that nothing here decodes it. */
export type HeicAnswer = Uint8ClampedArray<ArrayBuffer> | 'missing';

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

async function answer({ bytes, width, height }: HeicTask): Promise<HeicAnswer> {
  const decode = await decoder();
  if (decode === undefined) return 'missing';
  const [picture] = (await decode.all({ buffer: bytes })) as unknown as (HeicPicture | undefined)[];
  if (picture?.width !== width || picture.height !== height)
    throw new Error(`its first picture is not of ${width} x ${height} pixels`);
  return (await picture.decode()).data as Uint8ClampedArray<ArrayBuffer>;
}

// What it rejects with ends the thread, and is told there.
void answer(workerData as HeicTask).then((result) =>
  parentPort!.postMessage(result, result === 'missing' ? [] : [result.buffer]),
);
