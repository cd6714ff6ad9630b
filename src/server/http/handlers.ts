import { hasAlpha } from '../../image/raster.ts';
import { inParallel } from '../../parallel.ts';
import { namesPixel, pointQuery } from '../../pixels/tile.ts';
import type { EngineHost } from '../engines/engine-host.ts';
import type { Catalog } from '../pictures/catalog/catalog.ts';
import { type FoundPicture, isEngineFailure, type OpenPictures } from '../pictures/open-pictures.ts';
import type { ServedPicture } from '../pictures/picture.ts';
import type { PictureId } from '../pictures/picture-id.ts';
import { notFound, PictureChanged, problemOf, unlessBeingWritten } from '../problem.ts';
import type { Canvas } from '../protocols/canvas.ts';
import { dziDescriptor, dziRendering } from '../protocols/dzi.ts';
import { iiifImage, type OutputLimits } from '../protocols/iiif.ts';
import { iiifInfo, iiifLink, type Offer } from '../protocols/iiif-info.ts';
import { iiifManifest } from '../protocols/iiif-manifest.ts';
import { MIME_TYPES, type Rendering } from '../protocols/rendering.ts';
import { tileJson } from '../protocols/tilejson.ts';
import { tileRendering } from '../protocols/xyz.ts';
import type { RenderService } from '../render/render-service.ts';
import type { Descriptions } from './answer/descriptions.ts';
import { type ImageInfo, versionOf } from './answer/image-info.ts';
import { sendFile } from './answer/send-file.ts';
import { DESCRIPTION, sendDescription, sendJson, sendLinkedData } from './answer/send-text.ts';
import type { Exchange } from './exchange.ts';
import type { Hosts } from './request/hosts.ts';
import { picturePath } from './request/picture-path.ts';
import type { ServerRequest } from './request/request.ts';

export interface HandlerOptions {
  readonly catalog: Catalog;
  readonly pictures: OpenPictures;
  readonly descriptions: Descriptions;
  readonly engines: EngineHost;
  readonly service: RenderService;
  readonly hosts: Hosts;
  readonly limits: OutputLimits;
  readonly upload: boolean;
  /**
   * Called for each picture of a list that cannot be opened. A request for a single picture gets the error
   * instead.
   */
  readonly onDamaged?: (id: string, error: unknown) => void;
}

/** Requests for one picture. */
type PictureRequest = Extract<ServerRequest, { readonly id: PictureId }>;
type Of<K extends ServerRequest['kind']> = Extract<ServerRequest, { readonly kind: K }>;

/** For addresses with the current version of a picture: they never give other pixels. */
const IMMUTABLE = 'public, max-age=31536000, immutable';
const PIXELS = 'public, max-age=3600, stale-while-revalidate=86400';
const FILE = 'public, max-age=3600';

/** Answers to parsed requests. */
export class Handlers {
  readonly #options: HandlerOptions;

  constructor(options: HandlerOptions) {
    this.#options = options;
  }

  /** Sends the answer, or rejects. */
  async answer(exchange: Exchange, wanted: PictureRequest | Of<'images'>): Promise<void> {
    if (wanted.kind === 'images') return this.#images(exchange, wanted);
    return this.#withPicture(exchange, wanted.id, (found) => this.#answerFrom(found, exchange, wanted));
  }

  async #answerFrom(found: FoundPicture, exchange: Exchange, wanted: PictureRequest): Promise<void> {
    const { hosts, limits, descriptions } = this.#options;
    const { request, response, signal, base } = exchange;
    const picture = found.lease.value;
    const canvas: Canvas = { picture, factor: found.factor };
    switch (wanted.kind) {
      case 'tile':
        return this.#send(exchange, found, tileRendering(picture, wanted), wanted.version);
      case 'iiif-image': {
        const { iiif, path, version } = wanted;
        const { rendering, canonical } = iiifImage(iiif, canvas, wanted, limits);
        const lasting = hosts.lastingBaseOf(request);
        response.set('Link', iiifLink(iiif, `${lasting}/iiif/${iiif}/${path}/${canonical}`));
        return this.#send(exchange, found, rendering, version);
      }
      case 'dzi-tile':
        return this.#send(exchange, found, dziRendering(canvas, wanted), wanted.version);
      case 'image':
        return sendJson(exchange, await descriptions.ofOpen(found, signal));
      case 'iiif-base':
        response.set('Cache-Control', DESCRIPTION);
        return response.redirect(303, `${base}/iiif/${wanted.iiif}/${wanted.path}/info.json`);
      case 'iiif-info': {
        const id = `${base}/iiif/${wanted.iiif}/${wanted.path}`;
        return sendLinkedData(exchange, iiifInfo(wanted.iiif, id, canvas, limits, this.#offerOf(picture)));
      }
      case 'iiif-manifest': {
        const service = `${base}/iiif/3/${wanted.path}`;
        const offer = this.#offerOf(picture);
        return sendLinkedData(exchange, iiifManifest(service, found.title, canvas, limits, offer));
      }
      case 'tilejson': {
        const version = versionOf(picture.identity);
        const format = wanted.format ?? 'webp';
        const url = `${base}/${picturePath(found.id)}/{z}/{x}/{y}.${format}?v=${version}`;
        return sendJson(exchange, tileJson(picture, { title: found.title, version, url, format }));
      }
      case 'dzi': {
        const format = wanted.format ?? (picture.alpha ? 'png' : 'jpg');
        return sendDescription(exchange, dziDescriptor(canvas, format), 'application/xml');
      }
      case 'pixel':
        return this.#pixel(found, exchange, wanted);
      case 'file': {
        if (!picture.fileHash) throw notFound('Only .liif files are given as they are.');
        const hash = await picture.fileHash(signal);
        response.set('Cache-Control', fileCacheControl(wanted.version, picture.identity));
        return sendFile(exchange, picture, hash);
      }
    }
  }

  async #images(exchange: Exchange, wanted: Of<'images'>): Promise<void> {
    const { catalog, descriptions, upload, onDamaged } = this.#options;
    const { signal } = exchange;
    const found = catalog.list(wanted.part);
    const entries = found.slice(wanted.offset, wanted.offset + wanted.limit);
    const infos = new Map<string, ImageInfo>();
    const failed = new Map<string, { id: string; title: string; code: string }>();
    await inParallel(4, entries, async (entry) => {
      signal.throwIfAborted();
      try {
        infos.set(entry.id, await descriptions.of(entry, signal));
      } catch (error) {
        signal.throwIfAborted();
        const problem = problemOf(error);
        if (problem.isFault) onDamaged?.(entry.id, error);
        if (problem.status !== 404)
          failed.set(entry.id, { id: entry.id, title: entry.title, code: problem.code });
      }
    });
    sendJson(exchange, {
      version: 1,
      upload,
      total: found.length,
      // Without originals, which stand behind their pictures. Names alone tell: opening all files would take
      // too long for a number.
      pictures: found.length - catalog.originalsIn(found),
      // In the order of the catalog, or the same list would have several ETags.
      images: entries.flatMap(({ id }) => infos.get(id) ?? []),
      failed: entries.flatMap(({ id }) => failed.get(id) ?? []),
    });
  }

  async #pixel({ lease }: FoundPicture, exchange: Exchange, { x, y, written }: Of<'pixel'>): Promise<void> {
    const { width, height, colorSpace } = lease.value;
    if (outside(x, width) || outside(y, height)) throw notFound('The point lies outside the picture.');
    const raster = await this.#options.service.pixels(lease, pointQuery(x, y), exchange.signal);
    const samples = [...raster.data];
    const gray = raster.channels <= 2;
    const [r, g, b] = gray ? [samples[0]!, samples[0]!, samples[0]!] : (samples as [number, number, number]);
    const a = hasAlpha(raster.channels) ? samples.at(-1)! : 255;
    sendJson(exchange, {
      ...written,
      rgba: [r, g, b, a],
      ...(colorSpace && { colorSpace }),
      synthesized: !namesPixel(x, y),
    });
  }

  async #send(
    { request, response, signal }: Exchange,
    found: FoundPicture,
    rendering: Rendering,
    version: string | undefined,
  ): Promise<void> {
    const { service } = this.#options;
    const picture = found.lease.value;
    const key = service.keyOf(picture, rendering);
    response.set({
      ETag: `"${key.slice(0, 32)}"`,
      'Cache-Control': cacheControl(version, picture.identity),
      'Content-Type': MIME_TYPES[rendering.format],
    });
    if (request.fresh) {
      response.status(304).end();
      return;
    }
    // HEAD makes the image, too: only then is it known whether there is one.
    const { bytes, timings } = await service.image(found.lease, rendering, key, signal);
    response.set({
      'Content-Length': String(bytes.length),
      'Server-Timing': timings.map(({ stage, ms }) => `${stage};dur=${ms.toFixed(1)}`).join(', '),
    });
    response.end(bytes);
  }

  /** What descriptions promise of a picture: no size that would be refused. */
  #offerOf(picture: ServedPicture): Offer {
    const region = { x: 0, y: 0, width: picture.width, height: picture.height };
    return {
      alpha: picture.alpha,
      served: ({ width, height }) =>
        this.#options.service.allows(picture, { region, width, height, depth: 8 }),
    };
  }

  /**
   * Runs `use` with the picture of an id, and once more where the file or the engine was replaced meanwhile.
   * Releases the lease at the end; `use` may have handed it on to somebody who has released it already.
   */
  async #withPicture(
    { response, signal }: Exchange,
    id: PictureId,
    use: (found: FoundPicture) => Promise<void>,
  ): Promise<void> {
    const { pictures, engines } = this.#options;
    // For the log: the name in the address, until the picture is found.
    response.locals.picture = id.name;
    for (let attempt = 0; ; attempt++) {
      let found: FoundPicture | undefined;
      try {
        found = await pictures.find(id, signal);
        response.locals.picture = found.id;
        // In refusals, too: it tells clients that hold an address of another version.
        response.set('Picture-Version', versionOf(found.lease.value.identity));
        await use(found);
        return;
      } catch (thrown) {
        signal.throwIfAborted();
        const error = unlessBeingWritten(thrown, pictures.modifiedOf(id));
        if (isEngineFailure(error)) {
          const generation = found?.generation;
          if (generation) await engines.recover(generation, error);
        } else if (error instanceof PictureChanged) pictures.forget(found?.id ?? id.canvas?.name ?? id.name);
        else throw error;
        // After the first bytes the client has a part of the old file.
        if (attempt >= 1 || response.headersSent) throw error;
      } finally {
        found?.lease.release();
      }
    }
  }
}

/** An address with an old version gives the pixels of today, which may not be kept under it. */
function cacheControl(version: string | undefined, identity: string): string {
  if (version === undefined) return PIXELS;
  return version === versionOf(identity) ? IMMUTABLE : 'no-cache';
}

/**
 * An hour even with the current version: it names the pixels, and a damaged file has the version of the sound
 * one.
 */
function fileCacheControl(version: string | undefined, identity: string): string {
  return version === undefined || version === versionOf(identity) ? FILE : 'no-cache';
}

function outside(value: { readonly numerator: bigint; readonly denominator: bigint }, side: number): boolean {
  return value.numerator < 0n || value.numerator >= BigInt(side) * value.denominator;
}
