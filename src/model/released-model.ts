import { readFile } from 'node:fs/promises';
import { loadModel } from '../network/load.ts';
import type { Model } from '../network/model.ts';

/** The file of the weights that come with this version. */
export const RELEASED_MODEL = new URL('./liif-1.safetensors', import.meta.url);

let loading: Promise<Model> | undefined;

/** The weights that come with this version, read and checked once in a process. */
export function releasedModel(): Promise<Model> {
  if (!loading) {
    loading = readFile(RELEASED_MODEL).then(loadModel);
    loading.catch(() => {
      loading = undefined;
    });
  }
  return loading;
}
