import { parentPort, workerData } from 'node:worker_threads';
import sharp from 'sharp';
import { messageOf } from '../../errors.ts';
import type { Raster } from '../../image/raster.ts';
import type { Look } from '../protocols/rendering.ts';
import { type EncoderQuality, imageBytes } from './image-bytes.ts';

export interface EncodingTask {
  readonly id: number;
  /** Its samples are in shared memory that nobody else uses meanwhile: an image that is no longer than they goes there. */
  readonly raster: Raster;
  readonly look: Look;
}

/** `length`: of the image in the memory of the samples. */
export type EncodingAnswer =
  | { readonly id: number; readonly length: number }
  | { readonly id: number; readonly bytes: Uint8Array<ArrayBuffer> }
  | { readonly id: number; readonly error: string };

/** Says that tasks may come, once, or what became of some of them. */
export type FromEncodingThread = 'ready' | readonly EncodingAnswer[];

const quality = workerData as EncoderQuality;
/** Of this turn of the event loop: a message wakes another thread, which takes longer than to send one more answer with it. */
let answers: EncodingAnswer[] = [];

async function encode({ id, raster, look }: EncodingTask): Promise<EncodingAnswer> {
  try {
    const bytes = await imageBytes(raster, look, quality);
    if (bytes.length > raster.data.length) return { id, bytes: new Uint8Array(bytes) };
    raster.data.set(bytes);
    return { id, length: bytes.length };
  } catch (error) {
    return { id, error: messageOf(error) };
  }
}

function send(): void {
  const transfer = answers.flatMap((answer) => ('bytes' in answer ? [answer.bytes.buffer] : []));
  parentPort?.postMessage(answers satisfies FromEncodingThread, transfer);
  answers = [];
}

// libvips as the server has set it: loading sharp anew may change that.
sharp.cache(false);
sharp.concurrency(1);
parentPort?.on('message', (tasks: readonly EncodingTask[]) => {
  for (const task of tasks)
    void encode(task).then((answer) => {
      if (answers.push(answer) === 1) setImmediate(send);
    });
});
parentPort?.postMessage('ready' satisfies FromEncodingThread);
