import { readdirSync, readFileSync } from 'node:fs';
import { join, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Rational } from '../../src/head/rational.ts';

/** Reads the vectors of specification 5.2. */

export const VECTORS = fileURLToPath(new URL('../../format-spec/vectors', import.meta.url));
const RELEASED_MODELS = fileURLToPath(new URL('../../src/model', import.meta.url));

export interface TensorDigest {
  readonly level: number;
  readonly plane: number;
  readonly shape: readonly [number, number, number];
  readonly sha256: string;
}

export interface VectorQuery {
  readonly region: readonly [string, string, string, string];
  readonly size: readonly [number, number];
  readonly depth: 8 | 16;
}

export interface RenderedQuery extends VectorQuery {
  readonly channels: number;
  readonly sha256: string;
  /** Column, row and samples of some pixels. */
  readonly pixels: readonly (readonly number[])[];
}

interface VectorFacts {
  readonly name: string;
  readonly model: string;
  /** The .liif file; empty for a vector about a model. */
  readonly bytes: Uint8Array;
}

export interface ValidVector extends VectorFacts {
  readonly header: Readonly<Record<string, unknown>>;
  readonly latents: readonly TensorDigest[];
  readonly sites: readonly TensorDigest[];
  readonly sectionDigests: Readonly<Record<string, string>>;
  readonly queries: readonly RenderedQuery[];
}

export interface FaultyVector extends VectorFacts {
  readonly modelEdits?: readonly {
    readonly offset: number;
    readonly remove: number;
    readonly insert: string;
    readonly times?: number;
  }[];
  readonly error:
    | { readonly tag: 'UnsupportedError' }
    | { readonly tag: 'FormatError'; readonly part: string; readonly offset: readonly [number, number] };
}

const modelFiles = new Map<string, Uint8Array>();

/** The bytes of a model of the vectors, or of a released one. */
export function modelBytes(name: string): Uint8Array {
  let bytes = modelFiles.get(name);
  if (bytes === undefined) {
    const ours = readdirSync(join(VECTORS, 'models')).includes(name);
    bytes = readFileSync(join(ours ? join(VECTORS, 'models') : RELEASED_MODELS, name));
    modelFiles.set(name, bytes);
  }
  return bytes;
}

/** The model file of a vector, with the edits of the vector. */
export function editedModelBytes({ model, modelEdits = [] }: FaultyVector): Uint8Array {
  const original = modelBytes(model);
  const parts: Uint8Array[] = [];
  let at = 0;
  for (const { offset, remove, insert, times = 1 } of modelEdits) {
    const inserted = Buffer.from(insert, 'hex');
    parts.push(original.subarray(at, offset), Buffer.alloc(inserted.length * times, inserted));
    at = offset + remove;
  }
  return Buffer.concat([...parts, original.subarray(at)]);
}

/** Names of all files below the folder. */
export function vectorPaths(): string[] {
  return readdirSync(VECTORS, { withFileTypes: true, recursive: true })
    .filter((entry) => entry.isFile())
    .map((entry) =>
      join(entry.parentPath, entry.name)
        .slice(VECTORS.length + 1)
        .replaceAll(sep, '/'),
    )
    .sort();
}

export function readVectors<T>(group: 'valid' | 'invalid' | 'unsupported' | 'stages'): (T & VectorFacts)[] {
  const folder = join(VECTORS, group);
  const files = readdirSync(folder).sort();
  return files
    .filter((file) => file.endsWith('.json'))
    .map((file) => {
      const name = file.slice(0, -'.json'.length);
      const liif = `${name}.liif`;
      const bytes = files.includes(liif)
        ? new Uint8Array(readFileSync(join(folder, liif)))
        : new Uint8Array();
      return { ...JSON.parse(readFileSync(join(folder, file), 'utf8')), name, bytes };
    });
}

/** The number of a text such as `7` or `-3/2`. */
export function exact(text: string): Rational {
  const [numerator, denominator = '1'] = text.split('/');
  return { numerator: BigInt(numerator!), denominator: BigInt(denominator) };
}
