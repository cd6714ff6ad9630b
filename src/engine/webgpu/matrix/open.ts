import { EngineError } from '../../../errors.ts';
import type { Conv } from '../../../network/model.ts';
import type { ConvKernelChoice, KernelOptions, Kernels } from '../kernels.ts';
import type { ConvKernel } from '../pack.ts';
import { matrixKernel, plainMatrices, subgroupOperations } from './kernel.ts';
import { type MatrixShape, matrixRequirements, matrixShape } from './shape.ts';
import { pseudoRandom, tryConvolution } from './trial.ts';

const RIGHT = { side: 21, layers: 1, runs: 1 } as const;
const FAST = { side: 128, layers: 16, runs: 3 } as const;

/** For `openKernels`: convolutions by matrices where they are faster than multiply-adds, or always. */
export function matrixOptions(always: boolean): Pick<KernelOptions, 'requirements' | 'chooseConvKernel'> {
  return { requirements: matrixRequirements, chooseConvKernel: (open) => chooseMatrices(open, always) };
}

/**
 * Convolutions by matrices, on a device that was asked for them (`matrixRequirements`). They are an experiment, and what drivers make of it is theirs, so
 * nothing is taken on trust: results must equal those of multiply-adds in every bit. On a card that is simulated they are tried only if they are to be
 * used always. Rejects with EngineError when they are, and cannot.
 */
export async function chooseMatrices(open: Kernels, always: boolean): Promise<ConvKernelChoice> {
  const shape = matrixShape(open.adapter);
  if (!shape || (open.software && !always)) {
    if (always) throw noMatrices(open, 'it has none of bytes');
    return {};
  }
  const name = `matrices of ${shape.M} x ${shape.N} x ${shape.K} bytes`;
  const right = await rightKernel(open, shape);
  if (typeof right === 'string') {
    if (always) throw noMatrices(open, right);
    return { description: `without ${name}: ${right}` };
  }
  return always || (await isFaster(open, right.kernel))
    ? { ...right, description: name }
    : { description: `without ${name}: multiply-adds are faster` };
}

function noMatrices({ description }: Kernels, reason: string): EngineError {
  return new EngineError(`The graphics device (${description}) cannot compute by matrices: ${reason}`);
}

type RightKernel = Required<Pick<ConvKernelChoice, 'kernel' | 'plainProduct'>>;

/** A kernel whose results are right, or why there is none. */
async function rightKernel(open: Kernels, shape: MatrixShape): Promise<RightKernel | string> {
  let reason = '';
  // Bytes that an offset or a stride counts: those of an element of the array in later versions of Dawn, of one of the matrix in earlier ones.
  for (const unit of [4, 1]) {
    // Else Dawn writes to standard error.
    open.device.pushErrorScope('validation');
    try {
      const operations = await subgroupOperations(open.readAsset, shape, unit);
      const kernel = await matrixKernel(open, shape, operations);
      if (await isRight(open, kernel))
        return { kernel, plainProduct: await plainMatrices(open.readAsset, shape, operations) };
      reason ||= 'their results are wrong';
    } catch (error) {
      if (!(error instanceof EngineError)) throw error;
      reason ||= error.message.split('\n', 1)[0]!;
    } finally {
      await Promise.race([open.device.popErrorScope(), open.lost]).catch(() => {});
    }
  }
  return reason;
}

/** Whether it gives what multiply-adds give, where blocks, slices and tiles are not full, and with numbers of all sizes. */
export async function isRight(open: Kernels, kernel: ConvKernel): Promise<boolean> {
  for (const conv of [convolution(1, 72), convolution(3, 72), convolution(3, 16), convolution(3, 8)]) {
    const expected = await tryConvolution(open, conv, RIGHT);
    const found = await tryConvolution(open, conv, { ...RIGHT, kernel });
    if (!found.output.every((value, i) => value === expected.output[i])) return false;
  }
  return true;
}

async function isFaster(open: Kernels, kernel: ConvKernel): Promise<boolean> {
  const conv = convolution(3, 128);
  const { seconds } = await tryConvolution(open, conv, { ...FAST, kernel });
  return seconds < (await tryConvolution(open, conv, FAST)).seconds;
}

function convolution(kernel: 1 | 3, channels: number): Conv {
  return {
    op: 'conv',
    kernel,
    inputs: channels,
    outputs: channels,
    // As far as they split into bytes.
    weight: pseudoRandom(channels * kernel * kernel * channels).map((value) => Math.min(value, 32_639)),
    bias: Int32Array.from(pseudoRandom(channels)),
    biasRows: 1,
    shift: 16,
    limit: 32_767,
    leaky: true,
  };
}
