import { EngineError } from '../../errors.ts';
import { type DeviceOptions, type OpenDevice, openDevice } from './device.ts';
import type { ConvKernel } from './pack.ts';
import { type Kernel, type ReadAsset, readShaders } from './shaders.ts';

export interface KernelOptions extends DeviceOptions {
  /** `navigator.gpu`, or Dawn's in Node. */
  readonly gpu: GPU | undefined;
  readonly readAsset: ReadAsset;
  /**
   * Adds other kernels of convolutions for the device, if it has any; may give another device in its place.
   */
  readonly refine?: (open: Kernels) => Promise<Kernels>;
}

/** A kernel that multiplies on registers, for benchmarks. Its override `rounds` says how often. */
export interface PlainProduct {
  readonly code: string;
  /** Multiply-adds of a workgroup in a round. */
  readonly multiplyAdds: number;
}

/**
 * A device with the compiled kernels: they are the same for every model, so several engines may share them.
 */
export interface Kernels extends OpenDevice {
  readonly pipelines: ReadonlyMap<Kernel, GPUComputePipeline>;
  readonly readAsset: ReadAsset;
  /** Kernels of convolutions to use where they can, instead of multiply-adds. */
  readonly convKernel?: ConvKernel;
  /** The plain kernel to measure `convKernel` by. */
  readonly plainProduct?: () => Promise<PlainProduct>;
}

/** Opens a device and compiles the kernels. Rejects with EngineError if no device serves. */
export async function openKernels(options: KernelOptions): Promise<Kernels> {
  // The device first: without one, shaders are not needed.
  const open = await openDevice(options.gpu, options);
  try {
    const shaders = await readShaders(options.readAsset);
    const kernels = Object.entries(shaders) as [Kernel, string][];
    const pipelines = await Promise.all(
      kernels.map(async ([kernel, code]) => [kernel, await compile(open, kernel, code)] as const),
    );
    const plain = { ...open, pipelines: new Map(pipelines), readAsset: options.readAsset };
    return (await options.refine?.(plain)) ?? plain;
  } catch (error) {
    open.device.destroy();
    throw error;
  }
}

/** Compiles a kernel, whose name is for messages. Rejects with EngineError if the device refuses it. */
export async function compile(
  { device, unlessLost }: OpenDevice,
  kernel: string,
  code: string,
): Promise<GPUComputePipeline> {
  try {
    const module = device.createShaderModule({ label: kernel, code });
    return await unlessLost(
      device.createComputePipelineAsync({ layout: 'auto', compute: { module, entryPoint: 'main' } }),
    );
  } catch (cause) {
    throw new EngineError(`The graphics device refuses the kernel ${kernel}: ${(cause as Error).message}`, {
      cause,
    });
  }
}
