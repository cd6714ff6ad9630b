import type * as core from '@tensorflow/tfjs-core';
import { EngineError, messageOf } from '../../errors.ts';
import { isNative, packageOf, restoreUtil, silenceTensorFlow, whyNot } from './native.ts';

/** What this engine uses of TensorFlow.js: operations that every backend registers. */
export type TensorFlow = Pick<
  typeof core,
  | 'add'
  | 'clipByValue'
  | 'conv2d'
  | 'depthToSpace'
  | 'enableProdMode'
  | 'floor'
  | 'gather'
  | 'getBackend'
  | 'matMul'
  | 'maximum'
  | 'memory'
  | 'mul'
  | 'pad'
  | 'ready'
  | 'reshape'
  | 'setBackend'
  | 'slice'
  | 'sub'
  | 'tensor'
  | 'tidy'
  | 'version_core'
  | 'zeros'
>;
export type Tensor = core.Tensor;
export type Tensor1D = core.Tensor1D;
export type Tensor4D = core.Tensor4D;

/**
 * `node-gpu` and `node` run TensorFlow's C library, on CUDA and on the CPU; the others are packages beside
 * `@tensorflow/tfjs-core`.
 */
export const TENSORFLOW_BACKENDS = ['node-gpu', 'node', 'webgpu', 'webgl', 'wasm', 'cpu'] as const;
export type TensorFlowBackend = (typeof TENSORFLOW_BACKENDS)[number];

export interface OpenBackend {
  readonly tf: TensorFlow;
  readonly backend: TensorFlowBackend;
  /** The name by which TensorFlow.js knows it. */
  readonly registeredName: string;
}

const INSTALL_TENSORFLOW =
  'npm install @tensorflow/tfjs-node-gpu (CUDA), or @tensorflow/tfjs-node, or @tensorflow/tfjs-core @tensorflow/tfjs-backend-wasm';

/**
 * Opens `wanted`, or the first backend that is installed and works, in the order of `TENSORFLOW_BACKENDS`.
 * Rejects with EngineError that says what to install when there is none, or when the device computes with
 * fewer than 24 bits. Where a package of TensorFlow's C library is installed and does not start, a warning of
 * the process says why another backend stands in.
 */
export async function openBackend(wanted?: TensorFlowBackend): Promise<OpenBackend> {
  const problems: { readonly backend: TensorFlowBackend; readonly message: string }[] = [];
  for (const backend of wanted ? [wanted] : TENSORFLOW_BACKENDS) {
    try {
      const opened = await open(backend);
      if (opened) {
        await proveFloat32(opened);
        for (const { backend: other, message } of problems)
          if (isNative(other))
            process.emitWarning(
              `${packageOf(other)} does not start (${message}); TensorFlow.js' ${backend} backend stands in`,
            );
        return opened;
      }
    } catch (cause) {
      const message = whyNot(backend, firstLine(messageOf(cause)));
      if (wanted)
        throw cause instanceof EngineError
          ? cause
          : new EngineError(`TensorFlow.js cannot start its ${backend} backend: ${message}`, { cause });
      problems.push({ backend, message });
    }
  }
  const what = wanted
    ? `TensorFlow.js' ${wanted} backend is not installed`
    : 'No TensorFlow.js backend works here';
  const reasons = problems.map(({ backend, message }) => `${backend}: ${message}`).join('; ');
  const why = reasons === '' ? '' : ` (${reasons})`;
  throw new EngineError(`${what}${why}: ${wanted ? installCommand(wanted) : INSTALL_TENSORFLOW}`);
}

function installCommand(backend: TensorFlowBackend): string {
  const packages = isNative(backend)
    ? packageOf(backend)
    : `@tensorflow/tfjs-core @tensorflow/tfjs-backend-${backend}`;
  return `npm install ${packages}`;
}

/** Undefined when the package is not installed. */
async function open(backend: TensorFlowBackend): Promise<OpenBackend | undefined> {
  const native = isNative(backend);
  const registeredName = native ? 'tensorflow' : backend;
  if (native) silenceTensorFlow();
  const tf = await installed<TensorFlow>(native ? packageOf(backend) : '@tensorflow/tfjs-core');
  if (tf === undefined) return undefined;
  if (native) await restoreUtil();
  else {
    const extension = await installed<Partial<WasmBackend>>(`@tensorflow/tfjs-backend-${backend}`);
    if (extension === undefined) return undefined;
    if (extension.setWasmPaths) await locateWasm(extension as WasmBackend);
  }
  // Otherwise it advertises other backends on standard error.
  tf.enableProdMode();
  await keepingProcessListeners(async () => {
    if (!(await tf.setBackend(registeredName))) throw new Error('the device refused');
    await tf.ready();
  });
  return { tf, backend, registeredName };
}

interface WasmBackend {
  setWasmPaths(directory: string): void;
}

/** In Node the backend's .wasm files lie beside its code; in a browser a bundler or the page says where. */
async function locateWasm(extension: WasmBackend): Promise<void> {
  if (typeof process === 'undefined' || !process.versions?.node) return;
  const { createRequire } = await import('node:module');
  const { dirname } = await import('node:path');
  const entry = createRequire(import.meta.url).resolve('@tensorflow/tfjs-backend-wasm');
  extension.setWasmPaths(`${dirname(entry)}/`);
}

/**
 * The wasm backend's loader rethrows every unhandled rejection of the process, also of others; what it adds
 * is taken away again.
 */
async function keepingProcessListeners(work: () => Promise<void>): Promise<void> {
  if (typeof process === 'undefined' || typeof process.listeners !== 'function') return work();
  const events = ['uncaughtException', 'unhandledRejection'] as const;
  const before = events.map((event) => new Set(process.rawListeners(event)));
  try {
    await work();
  } finally {
    for (const [i, event] of events.entries())
      for (const listener of process.rawListeners(event))
        if (!before[i]!.has(listener)) process.removeListener(event, listener as () => void);
  }
}

/**
 * Node says "Cannot find package 'x'", Deno "Could not find package", Yarn "liif tried to access x", bundlers
 * "Could not resolve "x"".
 */
const NOT_INSTALLED =
  /^(Cannot find|Could not find|Could not resolve|Failed to resolve|\S+ tried to access) /;

/** The module, or undefined when it is not installed; a broken one rejects. */
async function installed<T>(name: string): Promise<T | undefined> {
  try {
    const module = (await import(/* @vite-ignore */ name)) as { default?: T } & T;
    // CommonJS packages arrive as `default`.
    return module.default ?? module;
  } catch (error) {
    const { message } = error as Error;
    if (NOT_INSTALLED.test(message) && message.includes(name)) return undefined;
    throw error;
  }
}

/** A sum that needs all 24 bits of float32: half floats and TF32 miss it by thousands. */
async function proveFloat32({ tf, backend }: OpenBackend): Promise<void> {
  const channels = 64;
  const probe = tf.tidy(() => {
    const values = Float32Array.from({ length: channels }, (_, i) => 8191 - 2 * i);
    const input = tf.tensor(values, [1, 1, 1, channels]) as Tensor4D;
    const weights = Float32Array.from({ length: channels }, (_, i) => (i % 2 === 0 ? 2047 : -2047));
    return tf.conv2d(input, tf.tensor(weights, [1, 1, channels, 1]) as Tensor4D, 1, 'valid');
  });
  try {
    const [sum] = await probe.data();
    // 32 pairs whose difference is 2, times 2047.
    const error = Math.abs(sum! - 32 * 2 * 2047);
    if (!(error <= 64))
      throw new EngineError(
        `TensorFlow.js' ${backend} backend computes with less than float32 here (a sum is wrong by ${error})`,
      );
  } finally {
    probe.dispose();
  }
}

const firstLine = (message: string) => message.trim().split('\n')[0]!;
