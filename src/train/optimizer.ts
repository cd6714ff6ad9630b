import type { NamedTensorMap, Tensor, TensorFlow, Variable } from './tensorflow.ts';

/**
 * Adam (Kingma and Ba, arXiv 1412.6980) with a rate for each step. Gradients are clipped to twice their mean
 * norm, so that one strange picture does not undo what a hundred have taught.
 */
export interface Optimizer {
  /**
   * One step along `gradients`, which are by name of variable. Disposes them. Resolves with false, and
   * changes nothing, where they are not finite or zero.
   */
  step(gradients: NamedTensorMap, rate: number): Promise<boolean>;
  /** The state to go on from in another process. */
  save(): Promise<OptimizerState>;
  restore(state: OptimizerState): Promise<void>;
  dispose(): void;
}

export interface OptimizerState {
  readonly moments: readonly {
    readonly name: string;
    readonly shape: number[];
    readonly values: Float32Array;
  }[];
  readonly meanNorm: number;
  /**
   * The betas to the power of the steps so far, as Adam has multiplied them: recomputed powers would differ
   * in the last bit.
   */
  readonly powers: readonly [number, number];
}

/** Private fields of TensorFlow.js' Adam. */
interface Internals {
  learningRate: number;
  readonly accBeta1: Variable;
  readonly accBeta2: Variable;
}

const BETA_1 = 0.9;
const BETA_2 = 0.99;
/** Gradients are clipped to so many times their mean norm. */
const CLIPPING_RATIO = 2;
/** Weight of the newest norm in the running mean. */
const NEWEST_SHARE = 0.05;

export function adam(tf: TensorFlow): Optimizer {
  const inner = tf.train.adam(0, BETA_1, BETA_2);
  const internals = inner as unknown as Internals;
  let meanNorm = 0;
  return {
    async step(gradients, rate) {
      const squares = tf.tidy(() =>
        tf.addN(Object.values(gradients).map((gradient) => tf.sum(tf.square(gradient)))),
      );
      const norm = Math.sqrt((await squares.data())[0]!);
      squares.dispose();
      const usable = Number.isFinite(norm) && norm > 0;
      if (usable) {
        meanNorm =
          meanNorm === 0
            ? norm
            : meanNorm + NEWEST_SHARE * (Math.min(norm, CLIPPING_RATIO * meanNorm) - meanNorm);
        const factor = Math.min(1, (CLIPPING_RATIO * meanNorm) / norm);
        internals.learningRate = rate;
        tf.tidy(() => {
          const held = Object.entries(gradients).map(([name, gradient]) => [name, tf.mul(gradient, factor)]);
          inner.applyGradients(Object.fromEntries(held) as Record<string, never>);
        });
      }
      tf.dispose(gradients);
      return usable;
    },
    async save() {
      const weights = await inner.getWeights();
      const moments = await Promise.all(
        weights.map(async ({ name, tensor }) => ({
          name,
          shape: tensor.shape,
          values: Float32Array.from(await tensor.data()),
        })),
      );
      const [power1] = await internals.accBeta1.data();
      const [power2] = await internals.accBeta2.data();
      return { moments, meanNorm, powers: [power1!, power2!] };
    },
    async restore(state) {
      meanNorm = state.meanNorm;
      await inner.setWeights(
        state.moments.map(({ name, shape, values }) => ({
          name,
          tensor: tf.tensor(values, shape, name === 'iter' ? 'int32' : 'float32') as Tensor,
        })),
      );
      tf.tidy(() => {
        internals.accBeta1.assign(tf.scalar(state.powers[0]));
        internals.accBeta2.assign(tf.scalar(state.powers[1]));
      });
    },
    dispose: () => inner.dispose(),
  };
}
