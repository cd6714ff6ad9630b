// liif/leaflet: pictures of a tile server on Leaflet maps of any page.

export { DEEPEST_ZOOM, DeepView, type DeepViewOptions } from './layer/deep-view.ts';
export { FloatingOrigin, type RootTile, type TileAddress } from './layer/floating-origin.ts';
export { imageCrs, toLatLng, toPoint } from './layer/image-crs.ts';
export { LiifLayer, type LiifLayerOptions } from './layer/liif-layer.ts';
export { formatDecimal, type Position, parseDecimal, toFixed, toNumber } from './layer/position.ts';
export type { TileStatus } from './layer/tile-loads.ts';
export { type HttpTileOptions, HttpTileSource } from './tiles/http-tile-source.ts';
export { type PictureSize, TILE_SIZE, TileError, type TileSource } from './tiles/tile-source.ts';
