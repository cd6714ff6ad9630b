import { expect, it, vi } from 'vitest';
import { openReferenceEngine } from '../../../src/engine/reference/reference-engine.ts';
import { openNodeWebGpu } from '../../../src/engine/webgpu/node-gpu.ts';
import type { WebGpuOptions } from '../../../src/engine/webgpu/webgpu-engine.ts';
import { model } from '../../fixtures/one-latent.ts';
import { openSwiftShader } from './swiftshader.ts';

/** A system with a graphics device, and two adapters. The first one does not open. */
vi.mock('node:fs', async (original) => ({
  ...(await original<typeof import('node:fs')>()),
  readdirSync: () => ['dri'],
}));
vi.mock('webgpu', async (original) => {
  const { create } = await original<typeof import('webgpu')>();
  const list = "backend: 'Vulkan', name: 'Other' backend: 'Vulkan', name: 'SwiftShader'";
  return {
    create(options: string[]) {
      if (options.includes('adapter=Other')) return { requestAdapter: async () => null };
      if (options.some((option) => option.startsWith('adapter=SwiftShader'))) return create(options);
      return { requestAdapter: () => Promise.reject(new Error(list)) };
    },
  };
});

const gpu = await openSwiftShader();

it.skipIf(typeof gpu === 'string')('takes the one card that opens, if the others do not', async () => {
  vi.stubEnv('LIIF_GPU', undefined);
  const software = { software: true, chunksOn: 'device' } as Partial<WebGpuOptions>;
  const engine = await openNodeWebGpu(model, openReferenceEngine(model), software);
  expect([engine.device, engine.codesChunks]).toEqual([expect.stringContaining('SwiftShader'), true]);
  await engine.close();
});
