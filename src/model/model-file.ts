import { FormatError, isLiifError } from '../errors.ts';
import { loadModel } from '../network/load.ts';
import type { Model } from '../network/model.ts';
import { MAX_MODEL_BYTES } from '../network/safetensors.ts';
import { openSource } from '../reader/open-source.ts';
import { OpenedSource } from '../reader/opened-source.ts';

/** A model file: its path, `file:` or `http(s):` URL, bytes or Blob. */
export type ModelFile = string | URL | Uint8Array | Blob;

/**
 * Reads and checks a model file (specification, chapter 3), for weights of one's own. Pass the result to
 * `openEngine`. Files larger than 256 MiB are refused unread.
 *
 * Rejects with SourceError where the file does not arrive, FormatError (section `model`) where it is damaged
 * or no model file, and UnsupportedError for a version that this build does not know. Messages begin with the
 * name of the file.
 *
 * @example
 * const engine = await openEngine({ model: await readModel('my-pictures.safetensors') });
 */
export async function readModel(file: ModelFile, signal?: AbortSignal): Promise<Model> {
  return (await readModelFile(file, signal)).model;
}

/** As `readModel`; gives the bytes of the file, too. */
export async function readModelFile(
  file: ModelFile,
  signal?: AbortSignal,
): Promise<{ readonly model: Model; readonly bytes: Uint8Array }> {
  const source = await openSource(file);
  try {
    const opened = await OpenedSource.open(source, signal);
    const { size } = opened;
    if (size !== undefined && size > MAX_MODEL_BYTES)
      throw new FormatError(
        'model',
        0,
        `${size} bytes, more than the ${MAX_MODEL_BYTES} of the largest model`,
      );
    const bytes = await opened.getBytes(0, size ?? MAX_MODEL_BYTES + 1, signal);
    return { model: await loadModel(bytes), bytes };
  } catch (error) {
    if (isLiifError(error) && !(file instanceof Uint8Array) && !error.message.startsWith(`${source.name}: `))
      error.message = `${source.name}: ${error.message}`;
    throw error;
  } finally {
    await source.close();
  }
}
