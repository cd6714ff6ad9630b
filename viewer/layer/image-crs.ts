import { CRS, LatLng, Point, Transformation } from 'leaflet';

// The only place where y is flipped or zoom becomes scale: Leaflet's latitude goes up, rows of pixels go
// down.

/**
 * Coordinates of a picture in Leaflet: lng is x and lat is -y, in pixels of the picture. Under a floating
 * origin whose root tile has zoom z they count from the corner of that tile, in units 2^z times smaller. Zoom
 * `nativeZoom` shows a unit as one CSS pixel.
 */
export function imageCrs(nativeZoom: number): CRS {
  // In Leaflet 2 CRS.Simple is a class, whose methods a spread would not copy.
  return Object.assign(Object.create(CRS.Simple) as CRS, {
    transformation: new Transformation(1, 0, -1, 0),
    infinite: true,
    scale: (zoom: number) => 2 ** (zoom - nativeZoom),
    zoom: (scale: number) => Math.log2(scale) + nativeZoom,
    distance: (a: LatLng, b: LatLng) => Math.hypot(b.lng - a.lng, b.lat - a.lat),
  });
}

/** Pixels to Leaflet's coordinates. */
export function toLatLng(x: number, y: number): LatLng {
  return new LatLng(-y, x);
}

/** Leaflet's coordinates to pixels. */
export function toPoint({ lat, lng }: LatLng): Point {
  return new Point(lng, lat === 0 ? 0 : -lat);
}
