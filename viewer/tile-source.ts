/** Pixels on the side of a tile on screen, in CSS pixels; a tile may come with up to 4 times as many. */
export const TILE_SIZE = 256;

/** What a layer needs to know of a picture. */
export interface PictureSize {
  readonly width: number;
  readonly height: number;
  /** Zoom at which a pixel of a tile of TILE_SIZE is a pixel of the picture. */
  readonly nativeZoom: number;
}

/** Where the tiles of a picture come from: a server, or a decoder in the browser. */
export interface TileSource extends PictureSize {
  /** Of its images; default sRGB. */
  readonly colorSpace?: PredefinedColorSpace;
  /** Whether anything behind its images may shine through. Default false. */
  readonly alpha?: boolean;
  /** Tiles around the view, and where it is going, are asked for before they are in it. Default false: it would be work for a server. */
  readonly looksAhead?: boolean;
  /**
   * Tile z/x/y with `size` pixels on its side: TILE_SIZE, or 2, 3 or 4 times that. Rejects with TileError, or with the reason of the signal.
   * Only asked for tiles that touch the picture. `distance`: how far the tile is from the middle of what is shown, now; near ones are wanted first.
   */
  tile(
    z: number,
    x: bigint,
    y: bigint,
    size: number,
    signal: AbortSignal,
    distance?: () => number,
  ): Promise<Blob | ImageBitmap>;
}

/** A tile that did not come. */
export class TileError extends Error {
  override readonly name = 'TileError';
  /** Trying again cannot help. */
  readonly permanent: boolean;
  /** The server has no time for it now. */
  readonly busy: boolean;
  /** What the server asked to wait. */
  readonly retryAfterMs: number | undefined;
  /** There is another picture in the place of the one that was opened: it has to be opened anew. */
  readonly replaced: boolean;

  constructor(
    message: string,
    options: {
      readonly permanent?: boolean;
      readonly busy?: boolean;
      readonly retryAfterMs?: number | undefined;
      readonly replaced?: boolean;
    } & ErrorOptions = {},
  ) {
    super(message, options);
    this.permanent = options.permanent ?? false;
    this.busy = options.busy ?? false;
    this.retryAfterMs = options.retryAfterMs;
    this.replaced = options.replaced ?? false;
  }
}

/** Whether any part of tile z/x/y lies in the picture. */
export function isInside(
  { width, height, nativeZoom }: PictureSize,
  z: number,
  x: bigint,
  y: bigint,
): boolean {
  const within = (index: bigint, side: number) => {
    if (index < 0n) return false;
    const start = index * BigInt(TILE_SIZE);
    return z >= nativeZoom
      ? start < BigInt(side) << BigInt(z - nativeZoom)
      : start << BigInt(nativeZoom - z) < BigInt(side);
  };
  return within(x, width) && within(y, height);
}
