import {
  EngineError,
  FormatError,
  isLiifError,
  messageOf,
  RequestError,
  SourceError,
  UnsupportedError,
} from '../../errors.ts';
import type { Model } from '../../network/model.ts';
import type { Engine, Extent, Rect, Samples } from '../engine.ts';

/** Calls whose arguments and results travel as they are. */
export type PlainCall = 'analyze' | 'encodeChunk' | 'decodeChunk';

/** To the worker; every message but `close-features`, `abort` and `close` has one answer of the same id. */
export type ToWorker =
  | { readonly id: number; readonly kind: 'start'; readonly model: Model }
  | {
      readonly id: number;
      readonly kind: 'call';
      readonly name: PlainCall;
      readonly args: readonly unknown[];
    }
  | {
      readonly id: number;
      readonly kind: 'features';
      readonly args: readonly unknown[];
      /** The number by which later messages name the map. */
      readonly map: number;
    }
  | { readonly id: number; readonly kind: 'pixels'; readonly map: number; readonly queries: unknown }
  | { readonly id: number; readonly kind: 'read'; readonly map: number }
  | { readonly id: number; readonly kind: 'close-features'; readonly map: number }
  | { readonly id: number; readonly kind: 'abort' }
  | { readonly kind: 'close' };

/** What the caller's side knows of a feature map. */
export interface FeatureFacts {
  readonly rect: Rect;
  readonly level: Extent;
  readonly byteLength: number;
}

/** What the caller's side knows of an engine that has started. */
export interface EngineFacts {
  readonly threads: number;
  readonly device?: string;
  /** Whether it codes chunks itself. */
  readonly codesChunks: boolean;
}

export type Result =
  | undefined
  | EngineFacts
  | Int16Array
  | FeatureFacts
  | readonly Samples[]
  | Awaited<ReturnType<Engine['encodeChunk']>>;

export type FromWorker =
  | { readonly id: number; readonly kind: 'done'; readonly result: Result }
  | { readonly id: number; readonly kind: 'failed'; readonly error: WireError };

/**
 * An error on its way between threads. `postMessage` does not keep the class of an error, so its parts
 * travel.
 */
export interface WireError {
  readonly tag: string | undefined;
  readonly message: string;
  readonly section?: FormatError['section'];
  readonly byteOffset?: number;
}

export function toWire(error: unknown): WireError {
  if (isLiifError(error, 'FormatError')) {
    const { section, byteOffset, reason } = error;
    return { tag: 'FormatError', message: reason, section, byteOffset };
  }
  return { tag: isLiifError(error) ? error._tag : undefined, message: messageOf(error) };
}

export function fromWire({ tag, message, section, byteOffset }: WireError): Error {
  if (tag === 'FormatError') return new FormatError(section!, byteOffset!, message);
  if (tag === 'RequestError') return new RequestError(message);
  if (tag === 'UnsupportedError') return new UnsupportedError(message);
  if (tag === 'SourceError') return new SourceError(message);
  return new EngineError(message);
}
