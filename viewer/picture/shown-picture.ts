import { onAbort } from '../../src/on-abort.ts';
import { Edition, versionIn } from '../tiles/edition.ts';
import { fetchImage } from '../tiles/fetch-image.ts';
import { HttpTileSource } from '../tiles/http-tile-source.ts';
import { OverviewFirst } from '../tiles/overview-first.ts';
import type { PictureSize, TileSource } from '../tiles/tile-source.ts';
import { addressOf, type ImageInfo, imageInfo, serverRoot } from './api.ts';
import { fetchThumbnail } from './thumbnail.ts';
import { overviewAddress, overviewReduction, type Sized } from './thumbnail-size.ts';

/** Tiles wait for no overview that takes longer. */
const LONGEST_OVERVIEW_MS = 1500;

/** A picture that can stand on the other side of the curtain. */
export interface Comparison {
  readonly key: string;
  readonly name: string;
  readonly source: TileSource;
}

/** A picture in the viewer: from a server, or from a file that the browser decodes. */
export interface ShownPicture {
  /** Whether links can lead to it. There are none to a file of the visitor. */
  readonly hasAddress: boolean;
  readonly title: string;
  /** Tells when another picture has taken its place. */
  readonly edition: Edition;
  readonly size: PictureSize;
  readonly source: TileSource;
  /** The same pixels without loss, for saving. */
  readonly lossless: TileSource;
  readonly comparisons: readonly Comparison[];
  /** Whether the picture, or what it is compared with, is translucent anywhere. */
  readonly alpha: boolean;
  /** Small image of the whole. */
  readonly thumbnail?: (signal: AbortSignal) => Promise<Blob>;
  /** Address of the .liif itself, where the browser may decode it instead. */
  readonly file?: string;
  /** The engine that decodes it in this browser, in words for people. */
  readonly decodedBy?: string;
  /** Facts for people: size, bytes, quality. */
  readonly facts: readonly string[];
  /** Whether a network fills in past native scale. Plain images are only enlarged. */
  readonly synthesizes: boolean;
  /** Frees the memory that it holds in this browser. */
  close?(): void;
  /** Native pixels of a window inside the picture. Rejects as `fetch` does. */
  samples(window: SampleWindow, signal: AbortSignal): Promise<ImageBitmapSource>;
  /** The value at a point, in decimal pixels. */
  valueAt?(x: string, y: string, signal: AbortSignal): Promise<Sample>;
}

/** Red, green, blue, alpha: 0 .. 255. */
export type Sample = readonly [number, number, number, number];

export interface SampleWindow {
  readonly left: number;
  readonly top: number;
  readonly width: number;
  readonly height: number;
}

/** A picture of the server that this page comes from. */
export async function serverPicture(id: string, signal?: AbortSignal): Promise<ShownPicture> {
  const info = await imageInfo(id, signal);
  const server = serverRoot();
  const path = encodeURIComponent(info.id);
  // From the template, which escapes names that are also addresses of the server.
  const [root] = info.tiles.split('/{z}/') as [string];
  const original =
    info.original === undefined ? undefined : await imageInfo(info.original, signal).catch(() => undefined);
  const edition = new Edition(info.version);
  const overview = new OverviewFirst(LONGEST_OVERVIEW_MS);
  const comparisons: Comparison[] = [];
  if (info.kind === 'liif')
    comparisons.push({
      key: 'bicubic',
      name: 'Bicubic',
      source: new HttpTileSource(info, { server, edition, method: 'bicubic' }),
    });
  if (original) {
    const ofOriginal = new Edition(original.version);
    onAbort(ofOriginal.replaced, () => edition.replace());
    comparisons.push({
      key: 'original',
      name: 'Original',
      source: new HttpTileSource(original, { server, edition: ofOriginal, method: 'bicubic' }),
    });
  }
  return {
    hasAddress: true,
    title: info.title,
    edition,
    size: info,
    alpha: info.alpha || original?.alpha === true,
    source: new HttpTileSource(info, { server, edition, overview }),
    lossless: new HttpTileSource(info, { server, edition, format: 'png' }),
    comparisons,
    thumbnail(signal) {
      const image = fetchThumbnail(addressOf(overviewAddress(info)), signal, edition);
      return goesFirst(info) ? overview.expect(image) : image;
    },
    ...(info.file !== undefined && { file: addressOf(info.file) }),
    facts: factsOf(info),
    synthesizes: info.kind === 'liif',
    samples({ left, top, width, height }, signal) {
      const region = `${left},${top},${width},${height}`;
      const address = addressOf(`/iiif/3/${path}/${region}/max/0/default.png?v=${info.version}`);
      return fetchImage(address, { signal }, edition);
    },
    async valueAt(x, y, abort) {
      const response = await fetch(addressOf(`${root}/pixel?x=${x}&y=${y}`), { signal: abort });
      edition.check(versionIn(response));
      if (!response.ok) throw new Error(`The server answered ${response.status}.`);
      const { rgba } = (await response.json()) as { readonly rgba: Sample };
      return rgba;
    },
  };
}

/** Whether an overview of the whole picture comes sooner than its tiles, and may lie beneath them. */
export function goesFirst(picture: Sized & Pick<ImageInfo, 'alpha'>): boolean {
  return !picture.alpha && overviewReduction(picture) > 1;
}

/** Facts for people: size, bytes, quality. */
export function factsOf(
  info: Pick<ImageInfo, 'width' | 'height' | 'bytes' | 'quality' | 'colorSpace'>,
): readonly string[] {
  const facts = [`${info.width} × ${info.height}`, formatBytes(info.bytes)];
  if (info.quality !== undefined) facts.push(`quality ${info.quality}`);
  if (info.colorSpace === 'display-p3') facts.push('Display P3');
  return facts;
}

export function formatBytes(bytes: number): string {
  if (bytes < 1000) return `${bytes} bytes`;
  const [value, unit] = bytes < 999_500 ? [bytes / 1e3, 'kB'] : [bytes / 1e6, 'MB'];
  return `${value < 10 ? value.toFixed(1) : Math.round(value)} ${unit}`;
}
