import type { ColorSpace } from '../../../color-space.ts';
import { nativeZoom } from '../../../pixels/tile.ts';
import type { CatalogEntry } from '../../pictures/catalog/directory-listing.ts';
import type { FoundPicture } from '../../pictures/open-pictures.ts';
import { THUMBNAIL_SIDE } from '../../protocols/iiif-manifest.ts';
import { picturePath } from '../request/picture-path.ts';

/** A picture as `/api/images` describes it. URLs are relative to the root of the server. */
export interface ImageInfo {
  readonly id: string;
  readonly title: string;
  readonly kind: 'liif' | 'image';
  readonly width: number;
  readonly height: number;
  readonly alpha: boolean;
  /** Color space of its images, which have its profile. Absent for sRGB. */
  readonly colorSpace?: ColorSpace;
  readonly bytes: number;
  readonly bitsPerPixel: number;
  readonly quality?: number;
  readonly levels?: number;
  /** Reduction from one level to the next. */
  readonly overviewFactor?: number;
  readonly model?: string;
  readonly encoder?: string;
  /** Changes with the pixels; URLs with `?v=` of it may be cached for ever. */
  readonly version: string;
  /** Zoom at which a pixel of a tile is a pixel of the picture. */
  readonly nativeZoom: number;
  /** With {z}, {x} and {y}. */
  readonly tiles: string;
  readonly thumbnail: string;
  /** Id of a plain image of the same name and size. */
  readonly original?: string;
  readonly file?: string;
  /** Of the file, in milliseconds since 1970. */
  readonly modified?: number;
}

export function versionOf(identity: string): string {
  return identity.slice(0, 12);
}

export function imageInfo(found: FoundPicture, original: CatalogEntry | undefined): ImageInfo {
  const picture = found.lease.value;
  const { width, height } = picture;
  const version = versionOf(picture.identity);
  const path = picturePath(found.id);
  const side = Math.min(THUMBNAIL_SIDE, Math.max(width, height));
  return {
    id: found.id,
    title: found.title,
    kind: picture.kind,
    width,
    height,
    alpha: picture.alpha,
    bytes: picture.bytes,
    bitsPerPixel: Number(((picture.bytes * 8) / (width * height)).toPrecision(6)),
    ...picture.facts,
    version,
    nativeZoom: nativeZoom(picture),
    tiles: `/${path}/{z}/{x}/{y}.webp?v=${version}`,
    thumbnail: `/iiif/3/${path}/full/!${side},${side}/0/default.${picture.alpha ? 'webp' : 'jpg'}?v=${version}`,
    ...(original && { original: original.id }),
    ...(picture.kind === 'liif' && { file: `/${path}/file?v=${version}` }),
    ...(found.modified !== undefined && { modified: Math.round(found.modified) }),
  };
}
