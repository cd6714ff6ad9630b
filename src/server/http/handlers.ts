import { createHash } from 'node:crypto';
import type { Request, Response } from 'express';
import { hasAlpha } from '../../image/raster.ts';
import { inParallel } from '../../parallel.ts';
import { namesPixel, pointQuery } from '../../pixels/tile.ts';
import type { EngineHost } from '../engines/engine-host.ts';
import type { Catalog } from '../pictures/catalog/catalog.ts';
import { type FoundPicture, isEngineFailure, type OpenPictures } from '../pictures/open-pictures.ts';
import type { PictureId } from '../pictures/picture-id.ts';
import { notFound, PictureChanged, problemOf, unlessBeingWritten } from '../problem.ts';
import type { Canvas } from '../protocols/canvas.ts';
import { dziDescriptor, dziRendering } from '../protocols/dzi.ts';
import { iiifImage, type OutputLimits } from '../protocols/iiif.ts';
import {
  type IiifDocument,
  iiifContextLink,
  iiifInfo,
  iiifLink,
  iiifType,
  type Offer,
} from '../protocols/iiif-info.ts';
import { iiifManifest } from '../protocols/iiif-manifest.ts';
import type { ImageFormat } from '../protocols/image-format.ts';
import { MIME_TYPES, type Rendering } from '../protocols/rendering.ts';
import { tileJson } from '../protocols/tilejson.ts';
import { tileRendering } from '../protocols/xyz.ts';
import type { RenderService } from '../render/render-service.ts';
import type { Descriptions } from './answer/descriptions.ts';
import { type ImageInfo, versionOf } from './answer/image-info.ts';
import { sendFile } from './answer/send-file.ts';
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
  /** Called for each picture of a list that cannot be opened. A request for a single picture gets the error instead. */
  readonly onDamaged?: (id: string, error: unknown) => void;
}

type Of<K extends ServerRequest['kind']> = Extract<ServerRequest, { readonly kind: K }>;

/** For addresses with the current version of a picture: they never give other pixels. */
const IMMUTABLE = 'public, max-age=31536000, immutable';
const PIXELS = 'public, max-age=3600, stale-while-revalidate=86400';
const FILE = 'public, max-age=3600';
/** For descriptions: clients keep them, and ask each time whether they are still true. */
const DESCRIPTION = 'no-cache';

/** Answers to parsed requests. Each sends its answer or throws. */
export class Handlers {
  readonly #options: HandlerOptions;

  constructor(options: HandlerOptions) {
    this.#options = options;
  }

  async images(request: Request, response: Response, wanted: Of<'images'>, signal: AbortSignal) {
    const { catalog, descriptions, upload, onDamaged } = this.#options;
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
        // 503 is about the server, not the picture.
        if (problem.status >= 500 && problem.status !== 503) onDamaged?.(entry.id, error);
        if (problem.status !== 404)
          failed.set(entry.id, { id: entry.id, title: entry.title, code: problem.code });
      }
    });
    this.#json(request, response, {
      version: 1,
      upload,
      total: found.length,
      // Without originals, which stand behind their pictures. Names alone tell: opening all files would take too long for a number.
      pictures: found.length - catalog.originalsIn(found),
      // In the order of the catalog, or the same list would have several ETags.
      images: entries.flatMap(({ id }) => infos.get(id) ?? []),
      failed: entries.flatMap(({ id }) => failed.get(id) ?? []),
    });
  }

  async image(request: Request, response: Response, wanted: Of<'image'>, signal: AbortSignal) {
    await this.#withPicture(response, wanted.id, signal, async (found) => {
      const info = await this.#options.descriptions.ofOpen(found, signal);
      this.#json(request, response, info);
    });
  }

  async tile(request: Request, response: Response, wanted: Of<'tile'>, signal: AbortSignal) {
    await this.#withPicture(response, wanted.id, signal, (found) =>
      this.#send(request, response, found, tileRendering(found.lease.value, wanted), wanted.version, signal),
    );
  }

  async iiifImage(request: Request, response: Response, wanted: Of<'iiif-image'>, signal: AbortSignal) {
    const { hosts, limits } = this.#options;
    const base = hosts.lastingBaseOf(request, request.baseUrl);
    await this.#withPicture(response, wanted.id, signal, (found) => {
      const { rendering, canonical } = iiifImage(wanted.iiif, canvasOf(found), wanted, limits);
      response.set('Link', iiifLink(wanted.iiif, `${base}/iiif/${wanted.iiif}/${wanted.path}/${canonical}`));
      return this.#send(request, response, found, rendering, wanted.version, signal);
    });
  }

  async dziTile(request: Request, response: Response, wanted: Of<'dzi-tile'>, signal: AbortSignal) {
    await this.#withPicture(response, wanted.id, signal, (found) =>
      this.#send(request, response, found, dziRendering(canvasOf(found), wanted), wanted.version, signal),
    );
  }

  async iiifBase(request: Request, response: Response, wanted: Of<'iiif-base'>, signal: AbortSignal) {
    const base = this.#options.hosts.baseOf(request, request.baseUrl);
    await this.#withPicture(response, wanted.id, signal, async () => {
      response.set('Cache-Control', DESCRIPTION);
      response.redirect(303, `${base}/iiif/${wanted.iiif}/${wanted.path}/info.json`);
    });
  }

  async iiifInfo(request: Request, response: Response, wanted: Of<'iiif-info'>, signal: AbortSignal) {
    const { hosts, limits } = this.#options;
    const id = `${hosts.baseOf(request, request.baseUrl)}/iiif/${wanted.iiif}/${wanted.path}`;
    await this.#withPicture(response, wanted.id, signal, async (found) => {
      const info = iiifInfo(wanted.iiif, id, canvasOf(found), limits, this.#offerOf(found));
      this.#linkedData(request, response, info);
    });
  }

  async iiifManifest(request: Request, response: Response, wanted: Of<'iiif-manifest'>, signal: AbortSignal) {
    const { hosts, limits } = this.#options;
    const service = `${hosts.baseOf(request, request.baseUrl)}/iiif/3/${wanted.path}`;
    await this.#withPicture(response, wanted.id, signal, async (found) => {
      const manifest = iiifManifest(service, found.title, canvasOf(found), limits, this.#offerOf(found));
      this.#linkedData(request, response, manifest);
    });
  }

  async tilejson(request: Request, response: Response, wanted: Of<'tilejson'>, signal: AbortSignal) {
    const base = this.#options.hosts.baseOf(request, request.baseUrl);
    await this.#withPicture(response, wanted.id, signal, async (found) => {
      const { width, height, identity } = found.lease.value;
      const version = versionOf(identity);
      const url = (format: ImageFormat) =>
        `${base}/${picturePath(found.id)}/{z}/{x}/{y}.${format}?v=${version}`;
      this.#json(
        request,
        response,
        tileJson({ width, height, title: found.title, version }, url, wanted.format ?? 'webp'),
      );
    });
  }

  async dzi(request: Request, response: Response, wanted: Of<'dzi'>, signal: AbortSignal) {
    await this.#withPicture(response, wanted.id, signal, async (found) => {
      const format = wanted.format ?? (found.lease.value.alpha ? 'png' : 'jpg');
      const body = dziDescriptor(canvasOf(found), format);
      this.#description(request, response, body, 'application/xml');
    });
  }

  async pixel(request: Request, response: Response, wanted: Of<'pixel'>, signal: AbortSignal) {
    await this.#withPicture(response, wanted.id, signal, async (found) => {
      const { x, y } = wanted;
      const { width, height, colorSpace } = found.lease.value;
      if (outside(x, width) || outside(y, height)) throw notFound('The point lies outside the picture.');
      const raster = await this.#options.service.pixels(found.lease, pointQuery(x, y), signal);
      const samples = [...raster.data];
      const gray = raster.channels <= 2;
      const [r, g, b] = gray
        ? [samples[0]!, samples[0]!, samples[0]!]
        : (samples as [number, number, number]);
      const a = hasAlpha(raster.channels) ? samples.at(-1)! : 255;
      this.#json(request, response, {
        ...wanted.written,
        rgba: [r, g, b, a],
        ...(colorSpace && { colorSpace }),
        synthesized: !namesPixel(x, y),
      });
    });
  }

  async file(request: Request, response: Response, wanted: Of<'file'>, signal: AbortSignal) {
    await this.#withPicture(response, wanted.id, signal, async (found) => {
      const picture = found.lease.value;
      if (!picture.fileHash) throw notFound('Only .liif files are given as they are.');
      const hash = await picture.fileHash(signal);
      response.set('Cache-Control', fileCacheControl(wanted.version, picture.identity));
      await sendFile(request, response, picture, hash, signal);
    });
  }

  async #send(
    request: Request,
    response: Response,
    found: FoundPicture,
    rendering: Rendering,
    version: string | undefined,
    signal: AbortSignal,
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
  #offerOf({ lease: { value: picture } }: FoundPicture): Offer {
    const region = { x: 0, y: 0, width: picture.width, height: picture.height };
    return {
      alpha: picture.alpha,
      served: ({ width, height }) =>
        this.#options.service.allows(picture, { region, width, height, depth: 8 }),
    };
  }

  #linkedData(request: Request, response: Response, document: IiifDocument) {
    const type = iiifType(document, request.headers.accept);
    response.set('Vary', 'Accept');
    if (type === 'application/json') response.set('Link', iiifContextLink(document));
    this.#json(request, response, document, type);
  }

  #json(request: Request, response: Response, value: object, type = 'application/json') {
    this.#description(request, response, JSON.stringify(value), type);
  }

  #description(request: Request, response: Response, body: string, type: string) {
    response.set({
      // Weak: the same for bytes that are compressed and those that are not.
      ETag: `W/"${createHash('sha256').update(body).digest('hex').slice(0, 32)}"`,
      'Cache-Control': DESCRIPTION,
      'Content-Type': type.includes(';') ? type : `${type}; charset=utf-8`,
    });
    if (request.fresh) {
      response.status(304).end();
      return;
    }
    response.set('Content-Length', String(Buffer.byteLength(body)));
    response.end(request.method === 'HEAD' ? undefined : body);
  }

  /**
   * Runs `use` with the picture of an id, and once more where the file or the engine was replaced meanwhile. Releases the lease at the end; `use` may have
   * handed it on to somebody who has released it already.
   */
  async #withPicture(
    response: Response,
    id: PictureId,
    signal: AbortSignal,
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

function canvasOf(found: FoundPicture): Canvas {
  const { width, height } = found.lease.value;
  return { picture: { width, height }, factor: found.factor };
}

/** An address with an old version gives the pixels of today, which may not be kept under it. */
function cacheControl(version: string | undefined, identity: string): string {
  if (version === undefined) return PIXELS;
  return version === versionOf(identity) ? IMMUTABLE : 'no-cache';
}

/** An hour even with the current version: it names the pixels, and a damaged file has the version of the sound one. */
function fileCacheControl(version: string | undefined, identity: string): string {
  return version === undefined || version === versionOf(identity) ? FILE : 'no-cache';
}

function outside(value: { readonly numerator: bigint; readonly denominator: bigint }, side: number): boolean {
  return value.numerator < 0n || value.numerator >= BigInt(side) * value.denominator;
}
