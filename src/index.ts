/** The codec, for any JavaScript that has an engine: nothing here touches files, threads or the network. Node users import `liif`. */

export type { ColorSpace } from './color-space.ts';
export type { Header } from './container/header.ts';
export type { Sink } from './container/write.ts';
export type { CallOptions, EngineOfModel, OpenOptions, Progress, RenderRequest } from './decode.ts';
export { decodeImage, LiifImage, openImage, resolveRequest } from './decode.ts';
export type { AncillarySections, EncodeOptions, EncodeSummary } from './encode.ts';
export { DEFAULT_QUALITY, encodeImage, encodeImageTo } from './encode.ts';
export type { Engine, EngineName } from './engine/engine.ts';
export type { LiifErrors, LiifErrorTag } from './errors.ts';
export {
  EngineError,
  FormatError,
  isLiifError,
  LiifError,
  RequestError,
  SourceError,
  UnsupportedError,
} from './errors.ts';
export type { Region } from './head/query.ts';
export type { Exact, Rational } from './head/rational.ts';
export type { Raster } from './image/raster.ts';
export { loadModel } from './network/load.ts';
export type { Model } from './network/model.ts';
export type { RenderQuery } from './pixels/render.ts';
export { httpSource } from './reader/http-source.ts';
export { memorySource } from './reader/memory-source.ts';
export type { Source } from './reader/source.ts';
export { VERSION } from './version.ts';
