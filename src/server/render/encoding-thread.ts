import { parentPort, workerData } from 'node:worker_threads';
import sharp from 'sharp';
import { messageOf } from '../../errors.ts';
import type { Raster } from '../../image/raster.ts';
import type { Look } from '../protocols/rendering.ts';
import { type EncoderQuality, imageBytes } from './image-bytes.ts';

export interface EncodingTask {
  readonly id: number;
  /**
   * Its samples lie in shared memory that nobody else uses meanwhile. An image that is not longer than the
   * samples is written over them.
   */
  readonly raster: Raster;
  readonly look: Look;
}

/** An image in the memory of the samples, with its length; a longer image as bytes; or an error message. */
export type EncodingAnswer =
  | { readonly id: number; readonly length: number }
  | { readonly id: number; readonly bytes: Uint8Array<ArrayBuffer> }
  | { readonly id: number; readonly error: string };

/** `ready` once, when the thread takes tasks; then answers, several at a time. */
export type FromEncodingThread = 'ready' | readonly EncodingAnswer[];

const quality = workerData as EncoderQuality;
/**
 * Answers of this turn of the event loop. They go in one message, because waking the other thread costs more
 * than an answer.
 */
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

// The settings of the server: loading sharp in this thread may have changed them.
sharp.cache(false);
sharp.concurrency(1);
parentPort?.on('message', (tasks: readonly EncodingTask[]) => {
  for (const task of tasks)
    void encode(task).then((answer) => {
      if (answers.push(answer) === 1) setImmediate(send);
    });
});
parentPort?.postMessage('ready' satisfies FromEncodingThread);
