import type { Metadata } from 'sharp';
import { UnsupportedError } from '../errors.ts';
import { onAbort } from '../on-abort.ts';
import { startWorker } from '../start-worker.ts';
import type { HeicAnswer, HeicTask } from './heic-thread.ts';

/**
 * Converts a HEIC, as phones write them, to a TIFF of 8 bits, with its profile, that sharp can read. sharp
 * has no decoder for HEVC; the optional package `heic-decode` decodes it, on a thread, since that takes
 * seconds. The metadata are those that sharp reports for the HEIC. Rejects with UnsupportedError where the
 * package is not installed, with Error for an image that it cannot decode, and with the signal's reason.
 */
export async function heicAsTiff(
  bytes: Uint8Array,
  { width, height, hasAlpha, icc, pagePrimary }: Metadata,
  name: string,
  signal: AbortSignal | undefined,
): Promise<Uint8Array> {
  signal?.throwIfAborted();
  // Its own memory: a view would travel with all that it is a view of.
  const own = new Uint8Array(bytes);
  const task: HeicTask = { bytes: own, number: pagePrimary ?? 0, width, height, hasAlpha, icc };
  const worker = startWorker(new URL('./heic-thread', import.meta.url), {
    workerData: task,
    transferList: [own.buffer],
    // The package writes what it thinks of damaged files there.
    stdout: true,
    stderr: true,
  });
  let answer: HeicAnswer;
  let forget = () => {};
  try {
    answer = await new Promise<HeicAnswer>((resolve, reject) => {
      forget = onAbort(signal, () => reject(signal!.reason));
      worker.on('message', resolve).on('error', reject);
      worker.on('exit', (code) => reject(new Error(`its decoder exited with code ${code}`)));
    });
  } finally {
    forget();
    await worker.terminate();
  }
  if (answer === 'missing')
    throw new UnsupportedError(
      `${name}: is a HEIC (HEVC); install the package heic-decode to read it (npm install heic-decode), or save it as JPEG`,
    );
  if ('error' in answer) throw new Error(answer.error);
  return answer;
}
