import { type PictureSize, TileError, type TileSource } from './tile-source.ts';

/** A picture as the server describes it. */
export interface ServedPicture extends PictureSize, Pick<TileSource, 'colorSpace' | 'alpha'> {
  /** Template of the addresses of tiles, with {z}, {x} and {y}. */
  readonly tiles: string;
  /** Where it is given, tiles of a picture that has taken its place are refused. */
  readonly version?: string;
}

/** How the server at `root`, with a slash at its end, describes a picture. Rejects with TileError. */
export async function describedBy(root: string, id: string): Promise<ServedPicture> {
  const address = new URL(`api/images/${encodeURIComponent(id)}`, root);
  const response = await fetch(address).catch((cause) => {
    throw new TileError('The server cannot be reached.', { cause });
  });
  if (!response.ok) throw new TileError(`The server answered ${response.status} to the picture ${id}.`);
  // For instance a login page, or the list of pictures where the id is empty.
  const info = await response.json().catch(() => undefined);
  if (typeof info?.tiles !== 'string')
    throw new TileError(`What answers at ${address} is no picture of a tile server.`);
  return info;
}
