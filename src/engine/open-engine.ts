import { EngineError, isLiifError, RequestError, shown } from '../errors.ts';
import { givenOptions } from '../given.ts';
import type { Model } from '../network/model.ts';
import { type ChoiceMemory, chooseEngine } from './auto.ts';
import type { Engine, EngineName } from './engine.ts';
import type { EngineEntry, EngineOptions } from './engine-entry.ts';
import { withFallback } from './fallback.ts';

/** `auto`: the fastest exact engine of this machine. */
export type EngineChoice = 'auto' | EngineName;

export interface OpenEngineOptions extends EngineOptions {
  /** Default `auto`. */
  readonly engine?: EngineChoice;
  /** Whether to refuse engines that are not exact. `auto` never takes one. Default false. */
  readonly mustBeExact?: boolean;
  /** Where `auto` keeps its choices. Absent: it measures every time. */
  readonly memory?: ChoiceMemory | undefined;
}

const wasmCode = async () => {
  // One after the other: in Jest, Node 20 and 22 mix up modules that load together and share imports.
  const { openWasmEngine } = await import('./wasm/wasm-engine.ts');
  const { niceNodeHost } = await import('./wasm/threads/node-host.ts');
  return { openWasmEngine, niceNodeHost };
};
const referenceCode = () => import('./reference/reference-engine.ts');
const gpuApartCode = () => import('./webgpu/apart.ts');

/**
 * Loads the code of all exact engines, as they are opened with `apart`. For servers: Node tries to load a
 * module only once in a process, so if that happened while no file descriptor was free, no engine could be
 * opened any more.
 */
export async function loadExactEngines(): Promise<void> {
  for (const load of [wasmCode, referenceCode, gpuApartCode]) await load();
}

/** All engines, in order of preference. The code of an engine is loaded when it is opened. */
export const ENGINES: readonly EngineEntry[] = [
  {
    name: 'webgpu',
    exact: true,
    async open(model, options) {
      const open = options.apart
        ? (await gpuApartCode()).openWebGpuApart
        : (await import('./webgpu/node-gpu.ts')).openNodeWebGpu;
      const cpu = await openFirst(['wasm', 'reference'], model, options);
      try {
        return withFallback(await open(model, cpu), cpu, warn);
      } catch (error) {
        await cpu.close();
        throw error;
      }
    },
  },
  {
    name: 'tensorflow',
    exact: false,
    async open(model, options) {
      const { openTensorFlowEngine } = await import('./tensorflow/tensorflow-engine.ts');
      const exact = await openFirst(['wasm', 'reference'], model, options);
      try {
        return await openTensorFlowEngine(model, { exact });
      } catch (error) {
        await exact.close();
        throw error;
      }
    },
  },
  {
    name: 'wasm',
    exact: true,
    async open(model, options) {
      const { niceness = 0, ...rest } = options;
      const { openWasmEngine, niceNodeHost } = await wasmCode();
      return openWasmEngine(model, { ...rest, host: niceNodeHost(niceness) });
    },
  },
  {
    name: 'reference',
    exact: true,
    async open(model) {
      const { openReferenceEngine } = await referenceCode();
      return openReferenceEngine(model);
    },
  },
];

const MAX_THREADS = 256;

/** Values of the option `engine`. */
export const ENGINE_CHOICES: readonly EngineChoice[] = ['auto', ...ENGINES.map(({ name }) => name)];

/** `givenOptions`, with the engine's name and the number of threads checked. Throws RequestError. */
export function givenEngineOptions<T extends OpenEngineOptions>(given: T): T {
  const options = givenOptions(given);
  const { engine = 'auto', threads } = options;
  if (!ENGINE_CHOICES.includes(engine))
    throw new RequestError(
      `Expected an engine of ${ENGINE_CHOICES.join(', ')} but received ${shown(engine)}`,
    );
  if (threads !== undefined && !(Number.isInteger(threads) && threads >= 0 && threads <= MAX_THREADS))
    throw new RequestError(`Expected 0 to ${MAX_THREADS} threads but received ${shown(threads)}`);
  return options;
}

/**
 * Opens the engine that is named, or chooses one. Where `webgpu` finds no graphics device, it opens wasm
 * instead, with a warning. Rejects with
 *
 * - UnsupportedError or EngineError, whose message says why, if the engine cannot run here;
 * - RequestError for an engine that is not exact if it must be, and for a wrong name or number of threads.
 */
export async function openEngine(model: Model, options: OpenEngineOptions = {}): Promise<Engine> {
  const { engine = 'auto', mustBeExact = false, memory, ...rest } = givenEngineOptions(options);
  if (engine === 'auto') return chooseEngine(ENGINES, model, rest, memory);
  const entry = entryOf(engine);
  if (mustBeExact && !entry.exact)
    throw new RequestError(`The ${engine} engine is not exact, which this needs; take auto, wasm or webgpu`);
  if (engine !== 'webgpu') return entry.open(model, rest);
  try {
    return await entry.open(model, rest);
  } catch (error) {
    if (!isLiifError(error, 'EngineError')) throw error;
    const standIn = await openFirst(['wasm', 'reference'], model, rest);
    warn(`${error.message}; the ${standIn.name} engine stands in`);
    return standIn;
  }
}

const warn = (message: string) => process.emitWarning(message);

function entryOf(name: EngineName): EngineEntry {
  const entry = ENGINES.find((candidate) => candidate.name === name);
  if (!entry) throw new EngineError(`The ${name} engine is not part of this build`);
  return entry;
}

/** Opens the first of these that runs here. Rejects as the last of them does. */
async function openFirst(
  names: readonly EngineName[],
  model: Model,
  options: EngineOptions,
): Promise<Engine> {
  let last: unknown;
  for (const name of names) {
    try {
      return await entryOf(name).open(model, options);
    } catch (error) {
      if (!isLiifError(error)) throw error;
      last = error;
    }
  }
  throw last;
}
