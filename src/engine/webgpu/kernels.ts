import { EngineError } from '../../errors.ts';
import { type DeviceOptions, type OpenDevice, openDevice } from './device.ts';
import type { ConvKernel } from './pack.ts';
import { type Kernel, type ReadAsset, readShaders } from './shaders.ts';

export interface KernelOptions extends DeviceOptions {
  /** `navigator.gpu`, or what stands in for it. */
  readonly gpu: GPU | undefined;
  readonly readAsset: ReadAsset;
  /** Other kernels of convolutions for this device, where there are any, or another device in its place. */
  readonly refine?: (open: Kernels) => Promise<Kernels>;
}

/** A kernel that makes products of registers: `rounds` of them, an override, in each workgroup. */
export interface PlainProduct {
  readonly code: string;
  /** Multiply-adds of a workgroup in a round. */
  readonly multiplyAdds: number;
}

/** A device with the compiled kernels: they are the same for every model, so several engines may share them. */
export interface Kernels extends OpenDevice {
  readonly pipelines: ReadonlyMap<Kernel, GPUComputePipeline>;
  readonly readAsset: ReadAsset;
  /** Instead of those by multiply-adds. */
  readonly convKernel?: ConvKernel;
  /** Of `convKernel`. */
  readonly plainProduct?: () => Promise<PlainProduct>;
}

/** Rejects with EngineError when there is no device that serves. */
export async function openKernels(options: KernelOptions): Promise<Kernels> {
  // First: where there is none, nobody needs shaders.
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

/** Rejects with EngineError where the device refuses it. `kernel` names it. */
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
