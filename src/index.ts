/**
 * The codec without files and threads, for any JavaScript that has an engine. In Node, import `liif` instead.
 */

export * from './common-exports.ts';
export type { Sink } from './container/write.ts';
export type { OpenOptions, Progress } from './decode.ts';
export { decodeImage, openImage } from './decode.ts';
export type { AncillarySections, EncodeOptions, EncodeSummary } from './encode.ts';
export { DEFAULT_QUALITY, encodeImage, encodeImageTo } from './encode.ts';
export type { Exact, Rational } from './head/rational.ts';
export { loadModel } from './network/load.ts';
export type { Model } from './network/model.ts';
export { httpSource } from './reader/http-source.ts';
export { memorySource } from './reader/memory-source.ts';
export type { Source } from './reader/source.ts';
export { resolveRequest } from './render-request.ts';
