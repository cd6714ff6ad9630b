/** Side of a tile on screen in CSS pixels. Its image may have up to 4 times as many pixels. */
export const TILE_SIZE = 256;

/** The size of a picture, as a layer needs it. */
export interface PictureSize {
  readonly width: number;
  readonly height: number;
  /** Zoom at which tiles of TILE_SIZE pixels have the picture's own pixels. */
  readonly nativeZoom: number;
}

/** Where the tiles of a picture come from: a server, or a decoder in the browser. */
export interface TileSource extends PictureSize {
  /** Color space of its images. Default sRGB. */
  readonly colorSpace?: PredefinedColorSpace;
  /** Whether its images may be translucent. Default false. */
  readonly alpha?: boolean;
  /**
   * Whether to ask for tiles around the view, and where it is going, ahead of time. Default false, which
   * spares servers.
   */
  readonly looksAhead?: boolean;
  /**
   * Tile z/x/y with `size` pixels on its side: TILE_SIZE, or 2, 3 or 4 times that. Rejects with TileError, or
   * with the reason of the signal. Only asked for tiles that touch the picture. `distance` gives how far the
   * tile now is from the middle of the view: near tiles are wanted first.
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
  /** Trying again is of no use. */
  readonly permanent: boolean;
  /** The server is too busy now. */
  readonly busy: boolean;
  /** The wait that the server asked for. */
  readonly retryAfterMs: number | undefined;
  /** Another picture has taken the place of the one that was opened, which has to be opened anew. */
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
