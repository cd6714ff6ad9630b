import { readFile } from 'node:fs/promises';
import { Packr } from 'msgpackr';
import { RequestError } from '../errors.ts';
import { writeAtomically } from '../image/atomic-file.ts';
import type { TuneState } from './tune.ts';

/** Everything that is needed to go on with an interrupted run. */
export interface RunState extends TuneState {
  /** Hash of the model that is tuned. */
  readonly base: string;
  /** Settings of the run. With others it would be another run. */
  readonly settings: Readonly<Record<string, unknown>>;
  /**
   * Absolute paths: of all pictures that were named, and in their random order of those that are learned from
   * and held out.
   */
  readonly pictures: {
    readonly named: readonly string[];
    readonly learned: readonly string[];
    readonly held: readonly string[];
  };
}

const FORMAT = 'liif-tuning';
const VERSION = 2;

const packr = new Packr({ useRecords: false });

/** Replaces the file at once. Rejects with OutputError. */
export async function writeRunState(path: string, state: RunState): Promise<void> {
  const { trainer, ...rest } = state;
  const { moments, meanNorm, powers } = trainer.optimizer;
  const bytes = packr.pack({
    format: FORMAT,
    version: VERSION,
    ...rest,
    variables: trainer.variables.map(bytesOf),
    moments: moments.map(({ name, shape, values }) => ({ name, shape, values: bytesOf(values) })),
    usualNorm: meanNorm,
    powers,
  });
  await writeAtomically(path, (file) => file.write(bytes));
}

/**
 * Undefined where the file is missing. Rejects with RequestError where it cannot be read or is no state of
 * this version.
 */
export async function readRunState(path: string): Promise<RunState | undefined> {
  let bytes: Uint8Array;
  try {
    bytes = await readFile(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw new RequestError(`${path}: cannot be read: ${(error as Error).message}`, { cause: error });
  }
  try {
    const { format, version, variables, moments, usualNorm, powers, ...rest } = packr.unpack(bytes);
    if (format !== FORMAT || version !== VERSION) throw new TypeError(`format ${format}, version ${version}`);
    return {
      ...rest,
      trainer: {
        variables: variables.map(floatsOf),
        optimizer: {
          meanNorm: usualNorm,
          powers,
          moments: moments.map((moment: { values: Uint8Array }) => ({
            ...moment,
            values: floatsOf(moment.values),
          })),
        },
      },
    };
  } catch (cause) {
    throw new RequestError(`${path}: is no state of a tuning run of this version; remove it to start anew`, {
      cause,
    });
  }
}

const bytesOf = (values: Float32Array) => new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
const floatsOf = (bytes: Uint8Array) => new Float32Array(Uint8Array.from(bytes).buffer);
