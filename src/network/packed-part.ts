import { decoderPartOf } from './decoder-model.ts';

/**
 * The decoder's part of a model as one compressed file, which has three fifths of its bytes: for hosts of the
 * viewer, whose pages fetch it whole. It is believed by the decoder hash of what comes out.
 */

const FORMAT = 'gzip';

/**
 * How the file is called, beside the weights. No name of a compressed file: hosts would say so, and browsers
 * unpack it by themselves.
 */
export function packedFileOf(decoderHash: string): string {
  return `${decoderHash}.part`;
}

/** The decoder's part of a model file, packed. Rejects with FormatError where it is none. */
export async function packDecoderPart(file: Uint8Array): Promise<Uint8Array> {
  const part = new Blob([(await decoderPartOf(file)) as Uint8Array<ArrayBuffer>]);
  return bytesOf(part.stream().pipeThrough(new CompressionStream(FORMAT)));
}

/** The part again. Rejects where the bytes are no packed part. */
export function unpackDecoderPart(packed: ReadableStream<Uint8Array<ArrayBuffer>>): Promise<Uint8Array> {
  return bytesOf(packed.pipeThrough(new DecompressionStream(FORMAT)));
}

async function bytesOf(stream: ReadableStream<Uint8Array>): Promise<Uint8Array> {
  return new Uint8Array(await new Response(stream).arrayBuffer());
}
