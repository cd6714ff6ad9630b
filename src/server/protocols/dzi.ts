import { notFound } from '../problem.ts';
import { type Canvas, canvasSize, regionOnPicture } from './canvas.ts';
import type { ImageFormat } from './image-format.ts';
import type { Rendering, Size } from './rendering.ts';

/** Pixels of a tile without its overlap; with it, inner tiles are 256 wide. */
const DZI_TILE_SIZE = 254;
const DZI_OVERLAP = 1;

export interface DziAddress {
  readonly level: number;
  readonly column: number;
  readonly row: number;
  readonly format: ImageFormat;
}

/** The descriptor, as Deep Zoom Composer and libvips write it. */
export function dziDescriptor(canvas: Canvas, format: ImageFormat): string {
  const { width, height } = canvasSize(canvas);
  return `<?xml version="1.0" encoding="UTF-8"?>
<Image xmlns="http://schemas.microsoft.com/deepzoom/2008" Format="${format}" Overlap="${DZI_OVERLAP}" TileSize="${DZI_TILE_SIZE}">
  <Size Width="${width}" Height="${height}"/>
</Image>
`;
}

/** The last level, where a pixel of a tile is a pixel of the canvas. Level 0 is one pixel. */
export function dziMaxLevel(size: Size): number {
  return Math.ceil(Math.log2(Math.max(size.width, size.height)));
}

/** A tile with its overlap. Throws Problem 404 where there is none. */
export function dziRendering(canvas: Canvas, address: DziAddress): Rendering {
  const { level, column, row, format } = address;
  const size = canvasSize(canvas);
  const maxLevel = dziMaxLevel(size);
  if (level > maxLevel) throw notFound(`The levels of this picture go from 0 to ${maxLevel}.`);
  const reduction = 2 ** (maxLevel - level);
  const across = dziSpan(Math.ceil(size.width / reduction), column);
  const down = dziSpan(Math.ceil(size.height / reduction), row);
  const box = { x: across.start, y: down.start, width: across.length, height: down.length };
  return {
    query: {
      region: regionOnPicture(canvas, box, reduction),
      width: across.length,
      height: down.length,
      depth: 8,
    },
    method: 'decode',
    mirror: false,
    rotation: 0,
    color: 'default',
    format,
    key: `dzi/${canvas.factor}/${level}/${column}/${row}/${format}`,
  };
}

/** The pixels of a level that a column (or row) of tiles shows. Throws Problem 404 where there is none. */
function dziSpan(side: number, index: number): { start: number; length: number } {
  // As with libvips, there is a tile wherever its square without overlap begins inside.
  if (index * DZI_TILE_SIZE >= side) throw notFound('The tile lies outside the picture.');
  const start = Math.max(0, index * DZI_TILE_SIZE - DZI_OVERLAP);
  const end = Math.min(side, (index + 1) * DZI_TILE_SIZE + DZI_OVERLAP);
  return { start, length: end - start };
}
