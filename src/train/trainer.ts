import { EngineError, RequestError } from '../errors.ts';
import type { Model } from '../network/model.ts';
import { batchLoss } from './loss.ts';
import { type Differentiable, differentiable } from './network/differentiable.ts';
import type { Exponents } from './network/exponents.ts';
import { type TrainableNetwork, trainableNetwork } from './network/trainable-network.ts';
import { adam, type Optimizer, type OptimizerState } from './optimizer.ts';
import type { Batch } from './pictures/batches.ts';
import type { Scalar, Tensor, TensorFlow, TrainingBackend } from './tensorflow.ts';

/** Figures of a batch, from before the step that it caused. */
export interface StepFigures {
  readonly loss: number;
  readonly bitsPerPixel: number;
  /** In 8-bit units. */
  readonly squaredError: number;
  /** False where the gradients were not finite, and the network has not changed. */
  readonly stepped: boolean;
}

export interface TrainerState {
  readonly variables: readonly Float32Array[];
  readonly optimizer: OptimizerState;
}

/**
 * A model in training: network, loss and optimizer. Close it, because its tensors are outside the JavaScript
 * heap.
 */
export class Trainer {
  readonly network: TrainableNetwork;
  readonly #tf: TensorFlow;
  readonly #ops: Differentiable;
  readonly #model: Model;
  readonly #optimizer: Optimizer;

  /** `exponents`: those of the file that `model` was read from (`convExponents`). */
  constructor({ tf, native }: TrainingBackend, model: Model, exponents: readonly Exponents[]) {
    this.#tf = tf;
    this.#model = model;
    this.#ops = differentiable(tf, native);
    this.network = trainableNetwork(tf, this.#ops, model, exponents);
    this.#optimizer = adam(tf);
  }

  /**
   * One step of Adam at `rate`. Rejects with EngineError where TensorFlow.js fails, for example without
   * memory.
   */
  async step(batch: Batch, rate: number): Promise<StepFigures> {
    try {
      return await this.#step(batch, rate);
    } catch (cause) {
      throw new EngineError(`TensorFlow.js: ${(cause as Error).message}`, { cause });
    }
  }

  async #step(batch: Batch, rate: number): Promise<StepFigures> {
    const tf = this.#tf;
    let others: Tensor | undefined;
    const { value, grads } = tf.variableGrads(() => {
      const { loss, bitsPerPixel, squaredError } = batchLoss(tf, this.#ops, this.network, this.#model, batch);
      others = tf.keep(tf.stack([bitsPerPixel, squaredError]));
      return loss as Scalar;
    }, [...this.network.variables]);
    try {
      const [loss] = await value.data();
      const [bitsPerPixel, squaredError] = await others!.data();
      const stepped = await this.#optimizer.step(grads, rate);
      return { loss: loss!, bitsPerPixel: bitsPerPixel!, squaredError: squaredError!, stepped };
    } finally {
      value.dispose();
      others!.dispose();
    }
  }

  /** Table and symbol of each latent of a batch at native scale. */
  async symbols(batch: Batch): Promise<{ tables: ArrayLike<number>; symbols: ArrayLike<number> }[]> {
    const tf = this.#tf;
    const { count, side } = batch;
    const counted = tf.tidy(() => {
      const pictures = tf.tensor4d(batch.pictures, [count, side, side, 3]);
      const quality = tf.tensor1d(batch.quality, 'int32');
      return this.network.entropy.symbols(this.network.analyze(pictures, quality), quality);
    });
    const result = [];
    for (const { tables, symbols } of counted) {
      result.push({ tables: await tables.data(), symbols: await symbols.data() });
      tables.dispose();
      symbols.dispose();
    }
    return result;
  }

  async save(): Promise<TrainerState> {
    const variables = [];
    for (const variable of this.network.variables) variables.push(Float32Array.from(await variable.data()));
    return { variables, optimizer: await this.#optimizer.save() };
  }

  /** Goes on from a state of `save`. Rejects with RequestError where it is of another network. */
  async restore({ variables, optimizer }: TrainerState): Promise<void> {
    const tf = this.#tf;
    const sizes = this.network.variables.map(({ size }) => size);
    if (`${variables.map(({ length }) => length)}` !== `${sizes}`)
      throw new RequestError('The state to go on from is of another network');
    for (const [i, variable] of this.network.variables.entries())
      tf.tidy(() => variable.assign(tf.tensor(variables[i]!, variable.shape)));
    await this.#optimizer.restore(optimizer);
  }

  close(): void {
    this.network.dispose();
    this.#optimizer.dispose();
  }
}
