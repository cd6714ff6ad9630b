import { EngineError } from '../../errors.ts';
import { type DeviceOptions, type OpenDevice, openDevice } from './device.ts';
import { type Kernel, type ReadAsset, readShaders } from './shaders.ts';

export interface KernelOptions extends DeviceOptions {
  /** `navigator.gpu`, or what stands in for it. */
  readonly gpu: GPU | undefined;
  readonly readAsset: ReadAsset;
}

/** A device with the compiled kernels: they are the same for every model, so several engines may share them. */
export interface Kernels extends OpenDevice {
  readonly pipelines: ReadonlyMap<Kernel, GPUComputePipeline>;
  readonly readAsset: ReadAsset;
}

/** Rejects with EngineError when there is no device that serves. */
export async function openKernels(options: KernelOptions): Promise<Kernels> {
  const shaders = await readShaders(options.readAsset);
  const open = await openDevice(options.gpu, options);
  try {
    const kernels = Object.entries(shaders) as [Kernel, string][];
    const pipelines = await Promise.all(
      kernels.map(async ([kernel, code]) => [kernel, await compile(open, kernel, code)] as const),
    );
    return { ...open, pipelines: new Map(pipelines), readAsset: options.readAsset };
  } catch (error) {
    open.device.destroy();
    throw error;
  }
}

async function compile(
  { device, lost }: OpenDevice,
  kernel: Kernel,
  code: string,
): Promise<GPUComputePipeline> {
  try {
    const module = device.createShaderModule({ label: kernel, code });
    return await Promise.race([
      device.createComputePipelineAsync({ layout: 'auto', compute: { module, entryPoint: 'main' } }),
      lost,
    ]);
  } catch (cause) {
    throw new EngineError(`The graphics device refuses the kernel ${kernel}: ${(cause as Error).message}`, {
      cause,
    });
  }
}
