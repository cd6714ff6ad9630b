// Decodes away from the page's own thread: nothing here can hold up a frame.
import {
  type Engine,
  isLiifError,
  type LiifImage,
  nativeZoom,
  open,
  openEngine,
  RequestError,
  renderTile,
  toImageData,
} from '../src/browser.ts';
import { parseDecimal } from '../src/head/rational.ts';
import { pointQuery } from '../src/pixels/tile.ts';
import type { DecoderResult, FromDecoder, ToDecoder } from './decoder-messages.ts';

let engine: Engine | undefined;
const pictures = new Map<number, LiifImage>();
const running = new Map<number, AbortController>();

function post(message: FromDecoder, transfer: Transferable[] = []): void {
  postMessage(message, { transfer });
}

function pictureOf(number: number): LiifImage {
  const picture = pictures.get(number);
  if (!picture) throw new Error('The picture has been closed');
  return picture;
}

async function answer(message: ToDecoder, signal: AbortSignal): Promise<DecoderResult> {
  switch (message.kind) {
    case 'start': {
      engine = await openEngine({
        model: message.model,
        engine: message.engine,
        // Who names WebGPU takes what there is.
        softwareAdapter: message.engine === 'webgpu',
        onProgress: (loaded, total) => post({ kind: 'progress', loaded, total }),
        onWarning: (text) => post({ kind: 'warning', message: text }),
        signal,
      });
      const { name, threads, device } = engine;
      return { name, threads, ...(device !== undefined && { device }) };
    }
    case 'open': {
      const image = await open(message.file, { engine: engine!, signal });
      pictures.set(message.id, image);
      const { width, height, header, reader } = image;
      return {
        picture: message.id,
        width,
        height,
        nativeZoom: nativeZoom(image),
        bytes: reader.fileLength,
        quality: header.quality,
      };
    }
    case 'tile': {
      const { picture, z, x, y, size } = message;
      return createImageBitmap(await renderTile(pictureOf(picture), z, x, y, size, signal));
    }
    case 'samples': {
      const { left, top, width, height } = message.window;
      const region = { x: left, y: top, width, height };
      return toImageData(await pictureOf(message.picture).render({ region }, { signal }));
    }
    case 'value': {
      const [x, y] = [parseDecimal(message.x), parseDecimal(message.y)];
      if (!x || !y) throw new RequestError(`Expected decimals but received ${message.x}, ${message.y}`);
      const request = { ...pointQuery(x, y), allowOutside: true };
      const raster = await pictureOf(message.picture).render(request, { signal });
      return [...toImageData(raster).data] as [number, number, number, number];
    }
    case 'close':
    case 'abort':
      throw new Error('has no answer');
  }
}

/** Does what the page asks for, and answers it. Never rejects. */
export async function take(message: ToDecoder): Promise<void> {
  const { id } = message;
  if (message.kind === 'abort') {
    running.get(id)?.abort();
    return;
  }
  if (message.kind === 'close') {
    void pictures.get(message.picture)?.close();
    pictures.delete(message.picture);
    return;
  }
  const controller = new AbortController();
  running.set(id, controller);
  try {
    const result = await answer(message, controller.signal);
    post({ id, kind: 'done', result }, result instanceof ImageBitmap ? [result] : []);
  } catch (error) {
    const text = error instanceof Error ? error.message : String(error);
    post({ id, kind: 'failed', message: text, tag: isLiifError(error) ? error._tag : undefined });
  } finally {
    running.delete(id);
  }
}
