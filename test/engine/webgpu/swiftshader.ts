import { existsSync } from 'node:fs';
import '../../fixtures/seldom-polling.cjs';
import { openDevice } from '../../../src/engine/webgpu/device.ts';
import { nodeGpu } from '../../../src/engine/webgpu/node-gpu.ts';
import { EngineError } from '../../../src/errors.ts';

/** The Vulkan driver that comes with Chromium and computes on the CPU. */
const DRIVER = '/usr/lib/chromium/vk_swiftshader_icd.json';

/**
 * From now on this process finds SwiftShader, and `openNodeWebGpu` takes it, or what LIIF_GPU says. To be
 * called before anything asks for adapters.
 */
export function useSwiftShader(): void {
  process.env.VK_ICD_FILENAMES = DRIVER;
  process.env.LIIF_GPU ??= 'SwiftShader';
}

/** WebGPU on the CPU, in Node; or what is missing for it. */
export async function openSwiftShader(): Promise<GPU | string> {
  if (!existsSync(DRIVER)) return `needs chromium, for ${DRIVER}`;
  useSwiftShader();
  try {
    const gpu = await nodeGpu('SwiftShader');
    const { device } = await openDevice(gpu, { software: true });
    device.destroy();
    return gpu;
  } catch (error) {
    if (!(error instanceof EngineError)) throw error;
    return `needs libvulkan1 and the package webgpu: ${error.message}`;
  }
}
