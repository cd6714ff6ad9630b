// liif/leaflet: pictures of a tile server on Leaflet maps of any page.

export { DEEPEST_ZOOM, DeepView, type DeepViewOptions } from './deep-view.ts';
export { FloatingOrigin, type RootTile, type TileAddress } from './floating-origin.ts';
export { type HttpTileOptions, HttpTileSource } from './http-tile-source.ts';
export { imageCrs, toLatLng, toPoint } from './image-crs.ts';
export { LiifLayer, type LiifLayerOptions } from './liif-layer.ts';
export { formatDecimal, type Position, parseDecimal, toFixed, toNumber } from './position.ts';
export type { TileStatus } from './tile-loads.ts';
export { type PictureSize, TILE_SIZE, TileError, type TileSource } from './tile-source.ts';
