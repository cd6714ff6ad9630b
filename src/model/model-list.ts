import { decoderHashOf } from '../network/decoder-model.ts';
import type { Model } from '../network/model.ts';

/**
 * Models beside the released ones that a host of pictures has for browsers: `model/models.json`, beside the
 * weights. The host makes the page, so it may also say which weights the page believes.
 */
export interface ListedModel {
  readonly name: string;
  /** As files name it. */
  readonly hash: string;
  /** Of what browsers read of the weights (network/decoder-model.ts). */
  readonly decoderHash: string;
  /** Beside the list. */
  readonly file: string;
}

export const MODEL_LIST = 'models.json';

/** The list as a file, by hash. */
export function modelListText(models: readonly ListedModel[]): string {
  const sorted = models.toSorted((a, b) => (a.hash < b.hash ? -1 : 1));
  return `${JSON.stringify({ version: 1, models: sorted }, null, 1)}\n`;
}

/** What a list says; entries that are none are left out. */
export function readModelList(value: unknown): ListedModel[] {
  const { version, models } = (value ?? {}) as { readonly version?: unknown; readonly models?: unknown };
  return version === 1 && Array.isArray(models) ? models.filter(isListed) : [];
}

/** How the weights of a model are called beside the list. */
export function listedFileOf(hash: string): string {
  return `${hash}.safetensors`;
}

/** What a list says of a model. `file`: its model file. */
export async function listedModel({ name, hash }: Model, file: Uint8Array): Promise<ListedModel> {
  return { name, hash, decoderHash: await decoderHashOf(file), file: listedFileOf(hash) };
}

function isListed(entry: unknown): entry is ListedModel {
  const { name, hash, decoderHash, file } = (entry ?? {}) as Record<string, unknown>;
  return typeof name === 'string' && isHash(hash) && isHash(decoderHash) && file === listedFileOf(hash);
}

function isHash(value: unknown): value is string {
  return typeof value === 'string' && /^[0-9a-f]{64}$/.test(value);
}
