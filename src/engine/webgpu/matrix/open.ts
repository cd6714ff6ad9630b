import { EngineError, messageOf } from '../../../errors.ts';
import type { Conv } from '../../../network/model.ts';
import { type KernelOptions, type Kernels, openKernels, type PlainProduct } from '../kernels.ts';
import type { ConvKernel } from '../pack.ts';
import { matrixKernel, plainMatrices, subgroupOperations } from './kernel.ts';
import { type MatrixShape, matrixRequirements, matrixShape } from './shape.ts';
import { pseudoRandom, tryConvolution } from './trial.ts';

const RIGHT = { side: 21, layers: 1, runs: 1 } as const;
const FAST = { side: 128, layers: 16, runs: 3 } as const;
/** If the driver takes longer to compile and try the kernels, multiply-adds are used. */
const PATIENCE_MS = 30_000;

interface MatrixChoice {
  /** Undefined: use multiply-adds. */
  readonly kernel?: ConvKernel;
  /** The plain kernel to measure `kernel` by. */
  readonly plainProduct?: () => Promise<PlainProduct>;
  /**
   * For people, if the device has matrices: the choice, and why. It must be the same each time: remembered
   * choices of an engine compare it.
   */
  readonly description?: string;
  /** Whether the device was lost while it was tried. */
  readonly deviceLost?: boolean;
}

/**
 * Adds to options of `openKernels`, so that convolutions are made by matrices if that is faster than
 * multiply-adds, or always.
 */
export function withMatrices<Options extends KernelOptions>(
  options: Options,
  always: boolean,
): Options & Required<Pick<KernelOptions, 'requirements' | 'refine'>> {
  const refine = async (open: Kernels): Promise<Kernels> => {
    const { kernel, plainProduct, description, deviceLost } = await chooseMatrices(open, always);
    if (deviceLost) open.device.destroy();
    return {
      ...(deviceLost ? await openKernels(options) : open),
      ...(kernel && { convKernel: kernel }),
      ...(plainProduct && { plainProduct }),
      ...(description && { description: `${open.description} (${description})` }),
    };
  };
  return { ...options, requirements: matrixRequirements, refine };
}

/**
 * Chooses between matrices and multiply-adds, on a device that was asked for matrices (`matrixRequirements`).
 * Matrices are an experiment, and drivers may have defects, so results are compared: every bit must equal
 * that of multiply-adds. Any failure is a reason for multiply-adds. On a simulated card, matrices are not
 * even tried.
 *
 * `always`: matrices are tried on any device, and taken even if they are slower. Rejects with EngineError if
 * they do not work.
 */
export async function chooseMatrices(open: Kernels, always: boolean): Promise<MatrixChoice> {
  const shape = matrixShape(open.adapter);
  if (!shape || (open.software && !always)) {
    if (always) throw noMatrices(open, 'it has none of bytes');
    return {};
  }
  const name = `matrices of ${shape.M} x ${shape.N} x ${shape.K} bytes`;
  let late = false;
  const giveUp = () => {
    late = true;
    // Ends all that waits for the device.
    open.device.destroy();
  };
  const patience = always ? undefined : setTimeout(giveUp, PATIENCE_MS);
  try {
    const right = await rightKernel(open, shape);
    if (!always) await expectFaster(open, right.kernel);
    return { ...right, description: name };
  } catch (error) {
    const reason = late
      ? `the driver takes more than ${PATIENCE_MS / 1000} s`
      : messageOf(error).split('\n', 1)[0]!;
    if (always) throw noMatrices(open, reason);
    return { description: `without ${name}: ${reason}`, deviceLost: !(await works(open)) };
  } finally {
    clearTimeout(patience);
  }
}

function noMatrices({ description }: Kernels, reason: string): EngineError {
  return new EngineError(`The graphics device (${description}) cannot compute by matrices: ${reason}`);
}

type RightKernel = Required<Pick<MatrixChoice, 'kernel' | 'plainProduct'>>;

/** A kernel whose results are right. Rejects if there is none. */
async function rightKernel(open: Kernels, shape: MatrixShape): Promise<RightKernel> {
  let first: unknown;
  // Offsets and strides count elements of the array (4 bytes) in later versions of Dawn, elements of the
  // matrix (1 byte) in earlier ones.
  for (const unit of [4, 1]) {
    let failure: unknown;
    // Without an error scope Dawn writes to standard error.
    open.device.pushErrorScope('validation');
    try {
      const operations = await subgroupOperations(open.readAsset, shape, unit);
      const kernel = await matrixKernel(open, shape, operations);
      if (!(await isRight(open, kernel))) throw wrong();
      return { kernel, plainProduct: () => plainMatrices(open.readAsset, shape, operations) };
    } catch (error) {
      failure = error;
    } finally {
      const refusal = await open.unlessLost(open.device.popErrorScope()).catch(() => null);
      first ??= refusal ? new EngineError(refusal.message) : failure;
    }
  }
  throw first;
}

/**
 * Whether a kernel gives the results of multiply-adds, for blocks, slices and tiles that are not full, and
 * for numbers of all sizes.
 */
export async function isRight(open: Kernels, kernel: ConvKernel): Promise<boolean> {
  for (const conv of [convolution(1, 72), convolution(3, 72), convolution(3, 16), convolution(3, 8)])
    if (!(await compare(open, kernel, conv, RIGHT)).equal) return false;
  return true;
}

async function expectFaster(open: Kernels, kernel: ConvKernel): Promise<void> {
  const { equal, faster } = await compare(open, kernel, convolution(3, 128), FAST);
  if (!equal) throw wrong();
  if (!faster) throw new EngineError('multiply-adds are faster');
}

const wrong = () => new EngineError('their results are wrong');

async function compare(
  open: Kernels,
  kernel: ConvKernel,
  conv: Conv,
  work: typeof RIGHT | typeof FAST,
): Promise<{ equal: boolean; faster: boolean }> {
  const found = await tryConvolution(open, conv, { ...work, kernel });
  const expected = await tryConvolution(open, conv, work);
  return {
    equal: found.output.every((value, i) => value === expected.output[i]),
    faster: found.seconds < expected.seconds,
  };
}

/** Whether the device still computes. */
function works(open: Kernels): Promise<boolean> {
  return tryConvolution(open, convolution(1, 8), RIGHT).then(
    () => true,
    () => false,
  );
}

function convolution(kernel: 1 | 3, channels: number): Conv {
  return {
    op: 'conv',
    kernel,
    inputs: channels,
    outputs: channels,
    // The largest weight that splits into two signed bytes.
    weight: pseudoRandom(channels * kernel * kernel * channels).map((value) => Math.min(value, 32_639)),
    bias: Int32Array.from(pseudoRandom(channels)),
    biasRows: 1,
    shift: 16,
    limit: 32_767,
    leaky: true,
  };
}
