import { once } from 'node:events';
import type { Metadata } from 'sharp';
import { UnsupportedError } from '../errors.ts';
import { startWorker } from '../start-worker.ts';
import type { HeicAnswer, HeicTask } from './heic-thread.ts';
import { tiffHeader } from './tiff.ts';

/**
 * A HEIC, as phones write them, as a TIFF of 8 bits that sharp reads: it comes without a decoder of HEVC, so the optional package `heic-decode` does that, on a
 * thread, since it takes seconds. What sharp has said of it goes in, and its profile is the TIFF's. Rejects with UnsupportedError where the package is not
 * installed, and with its own errors.
 */
export async function heicAsTiff(
  bytes: Uint8Array,
  { width, height, hasAlpha, icc }: Pick<Metadata, 'width' | 'height' | 'hasAlpha' | 'icc'>,
  name: string,
): Promise<Uint8Array> {
  const worker = startWorker(new URL('./heic-thread', import.meta.url), {
    workerData: { bytes, width, height } satisfies HeicTask,
    // The package writes what it thinks of damaged files there.
    stdout: true,
    stderr: true,
  });
  let data: HeicAnswer;
  try {
    [data] = (await once(worker, 'message')) as [HeicAnswer];
  } finally {
    await worker.terminate();
  }
  if (data === 'missing')
    throw new UnsupportedError(
      `${name}: is a HEIC (HEVC); install the package heic-decode to read it (npm install heic-decode), or save it as JPEG`,
    );
  const channels = hasAlpha ? 4 : 3;
  const header = tiffHeader({ width, height, channels, depth: 8, ...(icc && { icc }) });
  const tiff = new Uint8Array(header.length + width * height * channels);
  tiff.set(header);
  for (let i = 0, o = header.length; i < data.length; i += 4)
    for (let c = 0; c < channels; c++) tiff[o++] = data[i + c]!;
  return tiff;
}
