import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { imageBands } from '../decode.ts';
import { isLiifError } from '../errors.ts';
import { OutputError } from '../image/errors.ts';
import { writeImage } from '../image/write.ts';
import { fileSource } from '../reader/file-source.ts';
import { interruption } from './interruption.ts';
import { makeFolder } from './make-folder.ts';
import { PictureEngines } from './picture-engines.ts';
import type { Terminal } from './terminal.ts';

/** The folder of thumbnails beside the pictures. */
const FOLDER = 'thumbnails';
/** Of the longer side, in pixels: as wide as a card on a screen of two pixels per CSS pixel, or nearly. */
const SIDE = 480;
const QUALITY = 80;

/**
 * Makes a thumbnail of each picture in a folder that has none, or one that is older than the picture. Resolves
 * with the addresses of all thumbnails, from the folder, by the names of the pictures. A picture that cannot
 * be decoded has none, and a warning. `models`: files of the models that pictures may need besides the
 * released one. Rejects with OutputError.
 */
export async function putThumbnails(
  folder: string,
  pictures: readonly string[],
  models: readonly string[],
  terminal: Terminal,
): Promise<ReadonlyMap<string, string>> {
  const found = new Map<string, string>();
  const missing: string[] = [];
  for (const picture of pictures)
    if (await isNewer(join(folder, nameOf(picture)), join(folder, picture)))
      found.set(picture, addressOf(picture));
    else missing.push(picture);
  if (missing.length === 0) return found;
  await makeFolder(join(folder, FOLDER));
  // Opening a graphics card would take longer than such small pictures.
  const engines = await PictureEngines.of({ engine: 'wasm', model: models });
  try {
    await terminal.progress('Thumbnails', async (onProgress) => {
      for (const [done, picture] of missing.entries()) {
        onProgress({ done, total: missing.length });
        try {
          await writeThumbnail(engines, join(folder, picture), join(folder, nameOf(picture)));
          found.set(picture, addressOf(picture));
        } catch (error) {
          interruption().throwIfAborted();
          if (!isLiifError(error) || error instanceof OutputError) throw error;
          terminal.warning(`${picture}: has no thumbnail: ${error.message}`);
        }
      }
    });
  } finally {
    await engines.close();
  }
  return found;
}

async function writeThumbnail(engines: PictureEngines, picture: string, output: string): Promise<void> {
  const signal = interruption();
  const source = await fileSource(picture);
  try {
    const image = await engines.open(source);
    const { width, height } = image.header;
    const side = Math.min(SIDE, Math.max(width, height));
    const size = width >= height ? { width: side } : { height: side };
    const bands = imageBands(image, { ...size, depth: 8 }, { signal });
    await writeImage(bands, output, { format: 'webp', quality: QUALITY, srgb: true, signal });
  } finally {
    await source.close();
  }
}

async function isNewer(thumbnail: string, picture: string): Promise<boolean> {
  try {
    return (await stat(thumbnail)).mtimeMs >= (await stat(picture)).mtimeMs;
  } catch {
    return false; // there is none
  }
}

function nameOf(picture: string): string {
  return join(FOLDER, `${picture}.webp`);
}

function addressOf(picture: string): string {
  return `${FOLDER}/${encodeURIComponent(`${picture}.webp`)}`;
}
