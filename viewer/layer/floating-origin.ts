import { TILE_SIZE } from '../tiles/tile-source.ts';
import { FRACTION_BITS, type Position, shifted, toFixed, toNumber } from './position.ts';

/** The tile from which a map counts: its corner is the map's origin, its zoom the map's zoom 0. */
export interface RootTile {
  readonly z: number;
  readonly x: bigint;
  readonly y: bigint;
}

/** A tile of the picture. */
export interface TileAddress {
  readonly z: number;
  readonly x: bigint;
  readonly y: bigint;
}

const TILE_BITS = 8;
/** The map's own zoom after its origin has moved. */
const RESTING_ZOOM = 20;
/** The origin moves when the map's own zoom leaves this range. Doubles are exact up to 44. */
const LOWEST_ZOOM = 8;
const HIGHEST_ZOOM = 32;

/**
 * Where the coordinates of a map begin. Maps count pixels in doubles, which lose pixels from zoom 45 on. So a
 * map counts from a root tile near its view, and this class knows exactly which tile that is. "Local"
 * coordinates are the map's, all others the picture's.
 */
export class FloatingOrigin {
  readonly nativeZoom: number;
  #root: RootTile = { z: 0, x: 0n, y: 0n };

  constructor(nativeZoom: number) {
    this.nativeZoom = nativeZoom;
  }

  get root(): RootTile {
    return this.#root;
  }

  /** The tile that the map calls x, y at its zoom z (0 or more). */
  tile(local: { readonly x: number; readonly y: number; readonly z: number }): TileAddress {
    const { z, x, y } = this.#root;
    return {
      z: z + local.z,
      x: shifted(x, local.z) + BigInt(local.x),
      y: shifted(y, local.z) + BigInt(local.y),
    };
  }

  /** From coordinates of imageCrs to a position. */
  position(local: { readonly x: number; readonly y: number }): Position {
    const { z } = this.#root;
    const corner = this.#corner();
    return {
      x: shifted(toFixed(local.x) + corner.x, -z),
      y: shifted(toFixed(local.y) + corner.y, -z),
    };
  }

  /** From a position to coordinates of imageCrs, exact near the root tile. */
  local(position: Position): { x: number; y: number } {
    const { z } = this.#root;
    const corner = this.#corner();
    return {
      x: toNumber(shifted(position.x, z) - corner.x),
      y: toNumber(shifted(position.y, z) - corner.y),
    };
  }

  /** The root tile for a view of this zoom around a position: the present one as long as it serves. */
  rootFor(position: Position, zoom: number): RootTile {
    const local = zoom - this.#root.z;
    const near = this.local(position);
    // In tiles of the map's zoom 0: far pans on one level move the origin too.
    const far = Math.max(Math.abs(near.x), Math.abs(near.y)) / (TILE_SIZE * 2 ** this.nativeZoom);
    const serves = local <= HIGHEST_ZOOM && (local >= LOWEST_ZOOM || this.#root.z === 0) && far < 2 ** 10;
    if (serves) return this.#root;
    const z = Math.max(0, Math.floor(zoom) - RESTING_ZOOM);
    // It may lie outside the picture, where a view has to stay within doubles, too.
    return {
      z,
      x: toTile(position.x, z, this.nativeZoom),
      y: toTile(position.y, z, this.nativeZoom),
    };
  }

  moveTo(root: RootTile): void {
    this.#root = root;
  }

  /** Fixed-point corner of the root tile, in local units. */
  #corner(): Position {
    const { x, y } = this.#root;
    const unit = toFixed(TILE_SIZE, this.nativeZoom);
    return { x: x * unit, y: y * unit };
  }
}

/**
 * Pixels at zoom `zoom` from the corner of one root tile to that of another; exact where `zoom` is not below
 * either.
 */
export function rootDistance(from: RootTile, to: RootTile, zoom: number): { x: number; y: number } {
  const pixels = (a: bigint, b: bigint) =>
    Number((shifted(b, zoom - to.z) - shifted(a, zoom - from.z)) * BigInt(TILE_SIZE));
  return { x: pixels(from.x, to.x), y: pixels(from.y, to.y) };
}

function toTile(value: bigint, z: number, nativeZoom: number): bigint {
  return shifted(shifted(value, z), -(TILE_BITS + nativeZoom) - FRACTION_BITS);
}
