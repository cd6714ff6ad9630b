import type { Sample, SampleWindow } from '../picture/shown-picture.ts';

/** Messages to the worker that decodes which have one answer each, of the same id. */
export type DecoderQuestion =
  | {
      readonly id: number;
      readonly kind: 'open';
      readonly file: string | Blob;
      /** Address of the released weights. Those of other models lie beside them. */
      readonly model: string;
      readonly engine: EngineChoice;
    }
  | {
      readonly id: number;
      readonly kind: 'tile';
      /** Number of the picture, from the answer to `open`. */
      readonly picture: number;
      readonly z: number;
      readonly x: bigint;
      readonly y: bigint;
      readonly size: number;
    }
  | {
      readonly id: number;
      readonly kind: 'samples';
      readonly picture: number;
      readonly window: SampleWindow;
    }
  | {
      readonly id: number;
      readonly kind: 'value';
      readonly picture: number;
      readonly x: string;
      readonly y: string;
    };

export type ToDecoder =
  | DecoderQuestion
  | { readonly id: number; readonly kind: 'close'; readonly picture: number }
  | { readonly id: number; readonly kind: 'abort' };

export type EngineChoice = 'auto' | 'webgpu' | 'wasm';

/** Describes the engine that computes. */
export interface EngineFacts {
  readonly name: string;
  readonly threads: number;
  /** The graphics device, as the system names it. Absent: the processor computes. */
  readonly device?: string;
}

/** Describes a picture whose header has been read. */
export interface PictureFacts {
  readonly picture: number;
  readonly width: number;
  readonly height: number;
  readonly nativeZoom: number;
  readonly bytes: number;
  readonly quality: number;
  readonly alpha: boolean;
  /** Default sRGB. */
  readonly colorSpace?: PredefinedColorSpace;
  readonly levels: number;
  readonly overviewFactor: number;
  /** The version that a tile server gives with the file. */
  readonly version?: string;
  /** The engine that decodes it. */
  readonly engine: EngineFacts;
}

export type DecoderResult = PictureFacts | ImageBitmap | ImageData | Sample;

export type FromDecoder =
  | { readonly id: number; readonly kind: 'done'; readonly result: DecoderResult }
  | {
      readonly id: number;
      readonly kind: 'failed';
      readonly message: string;
      /** The `_tag` of an error of liif/browser. */
      readonly tag: string | undefined;
      readonly code: string | undefined;
    }
  | { readonly kind: 'progress'; readonly loaded: number; readonly total: number }
  | { readonly kind: 'warning'; readonly message: string };
