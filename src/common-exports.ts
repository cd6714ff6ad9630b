/** Exports that `index.ts` and `browser.ts` share. */

export type { ColorSpace } from './color-space.ts';
export type { Header } from './container/header.ts';
export type { CallOptions, EngineOfModel } from './decode.ts';
export { LiifImage } from './decode.ts';
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
export type { Raster } from './image/raster.ts';
export type { RenderQuery } from './pixels/render.ts';
export type { RenderRequest } from './render-request.ts';
export { VERSION } from './version.ts';
