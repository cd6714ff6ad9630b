import type * as core from '@tensorflow/tfjs-core';
import { openBackend, type TensorFlowBackend } from '../engine/tensorflow/backend.ts';
import { isNative } from '../engine/tensorflow/native.ts';
import { EngineError } from '../errors.ts';

/** TensorFlow.js with gradients. */
export type TensorFlow = typeof core;
export type Tensor = core.Tensor;
export type Scalar = core.Scalar;
export type Tensor4D = core.Tensor4D;
export type Variable = core.Variable;
export type NamedTensorMap = Record<string, Tensor>;

export interface TrainingBackend {
  readonly tf: TensorFlow;
  readonly backend: TensorFlowBackend;
  /** TensorFlow's C library, on a GPU or the CPU. */
  readonly native: boolean;
}

/**
 * Opens the backend `wanted`, or the first that is installed and works. The packages of TensorFlow's C
 * library include gradients; other backends need `@tensorflow/tfjs` besides. Rejects with EngineError that
 * says what to install.
 */
export async function openTrainingBackend(wanted?: TensorFlowBackend): Promise<TrainingBackend> {
  const { tf, backend } = await openBackend(wanted);
  const native = isNative(backend);
  // These packages are all of TensorFlow.js, while the engine's type has only the part that inference uses.
  if (native) return { tf: tf as unknown as TensorFlow, backend, native };
  const name = '@tensorflow/tfjs';
  try {
    const whole = (await import(/* @vite-ignore */ name)) as { default?: TensorFlow } & TensorFlow;
    return { tf: whole.default ?? whole, backend, native };
  } catch (cause) {
    throw new EngineError(
      `training on TensorFlow.js' ${backend} backend needs gradients: npm install @tensorflow/tfjs`,
      { cause },
    );
  }
}

/**
 * An operation with a gradient of its own: `gradient` of the result's gradient `dy` and the inputs, one
 * tensor for each input. By `tf.customGrad`, which types the function that keeps tensors for the gradient
 * wrongly.
 */
export function withGradient<Inputs extends Tensor[], Value extends Tensor>(
  tf: TensorFlow,
  value: (...inputs: Inputs) => Value,
  gradient: (dy: Value, ...inputs: Inputs) => Tensor | Tensor[],
): (...inputs: Inputs) => Value {
  return tf.customGrad((...args) => {
    const keep = args.pop() as unknown as (tensors: Tensor[]) => void;
    const inputs = args as Inputs;
    keep(inputs);
    const gradFunc = (dy: Value, kept: Tensor[]) => gradient(dy, ...(kept as Inputs));
    return { value: value(...inputs), gradFunc };
  }) as (...inputs: Inputs) => Value;
}
