import { readFile } from 'node:fs/promises';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { openReferenceEngine } from '../../../src/engine/reference/reference-engine.ts';
import { openDevice } from '../../../src/engine/webgpu/device.ts';
import { type KernelOptions, type Kernels, openKernels } from '../../../src/engine/webgpu/kernels.ts';
import { matrixKernel, plainMatrices, shapeConstants } from '../../../src/engine/webgpu/matrix/kernel.ts';
import { chooseMatrices, isRight, withMatrices } from '../../../src/engine/webgpu/matrix/open.ts';
import { packMatrices } from '../../../src/engine/webgpu/matrix/pack.ts';
import {
  type MatrixShape,
  matrixRequirements,
  matrixShape,
} from '../../../src/engine/webgpu/matrix/shape.ts';
import { openNodeWebGpu } from '../../../src/engine/webgpu/node-gpu.ts';
import type { ConvKernel } from '../../../src/engine/webgpu/pack.ts';
import { plainSpeed } from '../../../src/engine/webgpu/plain-speed.ts';
import {
  openWebGpuEngine,
  type WebGpuEngine,
  webGpuEngine,
} from '../../../src/engine/webgpu/webgpu-engine.ts';
import { parseModel } from '../../../src/network/load.ts';
import type { Conv } from '../../../src/network/model.ts';
import { latentWindow } from '../../../src/network/window.ts';
import { readIdleShaders } from '../../fixtures/idle-shaders.ts';
import { randomSource, tinyModelBytes } from '../../fixtures/tiny-model.ts';
import { openSwiftShader } from './swiftshader.ts';

vi.mock('../../../src/engine/webgpu/webgpu-engine.ts', { spy: true });

const found = await openSwiftShader();
const gpu = typeof found === 'string' ? undefined : found;
const missing = typeof found === 'string' ? ` (${found})` : '';

/** What the tensor units of NVIDIA's cards multiply, and what Mesa's simulated card does. */
const SHAPES: readonly MatrixShape[] = [
  { M: 16, N: 16, K: 32, subgroup: 32 },
  { M: 8, N: 8, K: 8, subgroup: 8 },
];

/**
 * Like matrix-subgroup.wgsl, in loops: an invocation has some elements of a result, and what is multiplied is
 * read where it lies, four bytes at a time.
 */
const LOOPS = `
alias Left = u32;
alias Right = u32;
const OWN = M * N / SUBGROUP;
alias Result = array<i32, OWN>;
// Dawn refuses rows that overlap.
const_assert SITE_BYTES >= K;

fn left(byte: u32) -> Left {
  return byte;
}

fn right(byte: u32) -> Right {
  return byte;
}

fn multiply_add(inputs: Left, outputs: Right, sum: Result) -> Result {
  var result = sum;
  for (var i = 0u; i < OWN; i++) {
    let element = i * SUBGROUP + lane;
    let a = (inputs + (element / N) * SITE_BYTES) / 4u;
    let b = (outputs + (element % N) * K) / 4u;
    for (var k = 0u; k < K / 4u; k++) {
      result[i] += dot4I8Packed(u32(memory[a + k]), u32(weights[b + k]));
    }
  }
  return result;
}

fn store_parts(at: u32, high: Result, middle: Result, low: Result) {
  workgroupBarrier();
  for (var i = 0u; i < OWN; i++) {
    let element = at + i * SUBGROUP + lane;
    memory[element] = high[i];
    memory[element + PART] = middle[i];
    memory[element + 2u * PART] = low[i];
  }
  workgroupBarrier();
}
`;

/**
 * Results of one number: what is multiplied says nothing about the kernel that measures it, and takes seconds
 * to compile.
 */
const NUMBERS = `
alias Left = u32;
alias Right = u32;
alias Result = i32;

fn left(byte: u32) -> Left {
  return byte;
}

fn right(byte: u32) -> Right {
  return byte;
}

fn multiply_add(inputs: Left, outputs: Right, sum: Result) -> Result {
  return sum + memory[inputs / 4u] * weights[outputs % (N * K)];
}

fn store_parts(at: u32, high: Result, middle: Result, low: Result) {
  memory[at + lane] = high;
  memory[at + PART + lane] = middle;
  memory[at + 2u * PART + lane] = low;
}
`;

describe.skipIf(gpu === undefined)(`convolutions by matrices of bytes${missing}`, () => {
  let kernels: Kernels;
  const made = new Map<MatrixShape, Promise<ConvKernel>>();
  const kernelOf = (shape: MatrixShape) => {
    const kernel = made.get(shape) ?? matrixKernel(kernels, shape, `${shapeConstants(shape)}${LOOPS}`);
    made.set(shape, kernel);
    return kernel;
  };
  beforeAll(async () => {
    kernels = await openKernels({
      gpu,
      readAsset: (url) => readFile(url),
      software: true,
      requirements: () => ({ features: [], limits: { maxComputeWorkgroupStorageSize: 17_280 } }),
    });
  });
  afterAll(() => kernels?.device.destroy());

  it.each(SHAPES)('equal those by multiply-adds, of $M x $N x $K', async (shape) => {
    expect(await isRight(kernels, await kernelOf(shape))).toBe(true);
  });

  it('are measured on registers', async () => {
    const shape = SHAPES.at(-1)!;
    const operations = `${shapeConstants(shape)}${NUMBERS}`;
    const plainProduct = vi.fn(() => plainMatrices(kernels.readAsset, shape, operations));
    const { gigaMacs } = await plainSpeed({ ...kernels, plainProduct });
    expect(plainProduct).toHaveBeenCalledOnce();
    expect(gigaMacs).toBeGreaterThan(0);
  });

  it('are found out where only the last of all kinds of convolutions is wrong', async () => {
    const kernel = await kernelOf(SHAPES[0]!);
    const tried: string[] = [];
    const wrong: ConvKernel = (conv) => {
      tried.push(`${conv.kernel} x ${conv.kernel} of ${conv.inputs}`);
      const packed = kernel(conv)!;
      const weights = new Int8Array(packed.weights.buffer.slice());
      if (conv.inputs === 8) weights[0]! ^= 1;
      return { ...packed, weights };
    };
    expect(await isRight(kernels, wrong)).toBe(false);
    expect(tried).toEqual(['1 x 1 of 72', '3 x 3 of 72', '3 x 3 of 16', '3 x 3 of 8']);
  });

  it('make the features of a model, with all that follows a convolution', async () => {
    const model = parseModel(tinyModelBytes({ seed: 3 }));
    const reference = openReferenceEngine(model);
    const byMatrices = await kernelOf(SHAPES[0]!);
    let count = 0;
    const convKernel: ConvKernel = (conv) => {
      const packed = byMatrices(conv);
      if (packed) count++;
      return packed;
    };
    const engine = webGpuEngine(model, { ...kernels, convKernel }, { cpu: reference });
    expect(count).toBeGreaterThan(5);
    const level = { height: 5, width: 4 };
    const sites = { top: 30, left: 37, height: 21, width: 27 };
    const rect = latentWindow(model, sites, level);
    const random = randomSource(17);
    const data = Int16Array.from({ length: rect.height * rect.width * model.latentChannels }, () =>
      Math.round((2 * random() - 1) * 18_000),
    );
    const latents = { rect, channels: model.latentChannels, data };
    const found = await engine.features(latents, level, sites, 50);
    const expected = await reference.features(latents, level, sites, 50);
    expect(await found.read()).toEqual(await expected.read());
    await engine.close();
  });

  it('are not tried on a simulated card, unless they are to be used always', async () => {
    const open = { ...kernels, adapter: card() };
    expect(await chooseMatrices(open, false)).toEqual({});
    // The device was not asked for them.
    await expect(chooseMatrices(open, true)).rejects.toThrow(
      /cannot compute by matrices: .*chromium_experimental_subgroup_matrix' is not allowed/,
    );
    await expect(chooseMatrices({ ...kernels, adapter: card({ configs: [] }) }, true)).rejects.toThrow(
      'cannot compute by matrices: it has none of bytes',
    );
  });

  it('are asked for in vain, and the device comes without', async () => {
    const requirements = () => ({ features: [], limits: { maxComputeWorkgroupStorageSize: 2 ** 30 } });
    const { device } = await openDevice(gpu, { software: true, requirements });
    expect(device.limits.maxComputeWorkgroupStorageSize).toBe(16_384);
    device.destroy();
  });

  it('are left where the device refuses them, and it says so', async () => {
    const open = { ...kernels, adapter: card(), software: false };
    const { kernel, description, deviceLost } = await chooseMatrices(open, false);
    expect(kernel).toBeUndefined();
    expect(description).toMatch(/^without matrices of 16 x 16 x 32 bytes: .* is not allowed/);
    expect(description).not.toContain('\n');
    expect(deviceLost).toBe(false);
    const readAsset = () => Promise.reject(new Error('no such file'));
    expect(await chooseMatrices({ ...open, readAsset }, false)).toEqual({
      description: 'without matrices of 16 x 16 x 32 bytes: no such file',
      deviceLost: false,
    });
  });

  it('cost a driver that hangs over them its device, and another is opened without', async () => {
    const plain = { gpu, readAsset: readIdleShaders, software: true };
    const { refine } = withMatrices(plain, false);
    const { device, description, convKernel } = await openKernels({
      ...plain,
      refine: async (open) => {
        vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
        open.device.createComputePipelineAsync = () => new Promise(() => {});
        const refined = refine({ ...open, adapter: card(), software: false });
        vi.advanceTimersByTime(30_000);
        vi.useRealTimers();
        return refined;
      },
    });
    expect(description).toMatch(
      /\(without matrices of 16 x 16 x 32 bytes: the driver takes more than 30 s\)$/,
    );
    expect(convKernel).toBeUndefined();
    expect(await Promise.race([device.lost, 'alive'])).toBe('alive');
    device.destroy();
  });
});

describe.skipIf(gpu === undefined)(`the variable LIIF_GPU_MATRICES${missing}`, () => {
  const model = parseModel(tinyModelBytes({ seed: 3 }));
  /** What the engine is to be opened with, which would take seconds. */
  const optionsWith = async (value: string | undefined) => {
    vi.stubEnv('LIIF_GPU_MATRICES', value);
    const opening = vi.mocked(openWebGpuEngine).mockResolvedValueOnce({} as WebGpuEngine);
    await openNodeWebGpu(model, openReferenceEngine(model));
    return opening.mock.lastCall![1] as KernelOptions;
  };
  const without = { adapter: card({ configs: [] }), software: false, description: 'a card' } as Kernels;
  afterEach(() => vi.unstubAllEnvs());

  it('leaves the choice to the device where it is not set, and says nothing where there is none', async () => {
    const { refine, requirements } = await optionsWith(undefined);
    expect(requirements!(card())).toBeDefined();
    expect(await refine!(without)).toEqual(without);
  });

  it('forbids them', async () => {
    const { refine, requirements } = await optionsWith('off');
    expect([refine, requirements]).toEqual([undefined, undefined]);
  });

  it('asks for what the device does not have, or is wrong', async () => {
    const { refine } = await optionsWith('on');
    await expect(refine!(without)).rejects.toThrow(
      '(a card) cannot compute by matrices: it has none of bytes',
    );
    await expect(optionsWith('yes')).rejects.toThrow('LIIF_GPU_MATRICES is on or off, not yes');
  });
});

describe('the shape of matrices', () => {
  it('is the largest that fills tiles, blocks and slices', () => {
    expect(matrixShape(card())).toEqual({ M: 16, N: 16, K: 32, subgroup: 32 });
    const odd = [
      { componentType: 'i8', resultComponentType: 'i32', M: 32, N: 32, K: 32 },
      { componentType: 'i8', resultComponentType: 'i32', M: 8, N: 8, K: 8 },
      { componentType: 'u8', resultComponentType: 'u32', M: 16, N: 16, K: 16 },
    ];
    expect(matrixShape(card({ configs: odd }))).toEqual({ M: 8, N: 8, K: 8, subgroup: 32 });
  });

  it('is none without the feature, with subgroups of unknown size, with little memory or few invocations', () => {
    for (const other of [
      { features: ['subgroups'] },
      { minimum: 16 },
      { storage: 16_384 },
      { invocations: 64 },
      { configs: [] },
    ]) {
      expect(matrixShape(card(other))).toBeUndefined();
      expect(matrixRequirements(card(other))).toBeUndefined();
    }
  });

  it('tells what a device has to be asked for', () => {
    expect(matrixRequirements(card())).toEqual({
      features: ['chromium-experimental-subgroup-matrix', 'subgroups'],
      limits: {
        maxComputeWorkgroupStorageSize: 17_280,
        maxComputeInvocationsPerWorkgroup: 128,
        maxComputeWorkgroupSizeX: 128,
      },
    });
  });
});

describe('weights in bytes', () => {
  const conv: Conv = {
    op: 'conv',
    kernel: 1,
    inputs: 2,
    outputs: 8,
    weight: new Int16Array(16),
    bias: new Int32Array(16).fill(5),
    biasRows: 2,
    shift: 4,
    limit: 100,
    leaky: false,
  };

  it('go up to 32639', () => {
    expect(packMatrices({ ...conv, weight: conv.weight.map(() => 32_639) }, SHAPES[0]!)).toBeDefined();
    expect(packMatrices({ ...conv, weight: conv.weight.map(() => -32_768) }, SHAPES[0]!)).toBeDefined();
    expect(packMatrices({ ...conv, weight: conv.weight.with(15, 32_640) }, SHAPES[0]!)).toBeUndefined();
  });

  it('have what the kernel takes off the inputs in each row of biases', () => {
    const { weights, bias } = packMatrices(
      { ...conv, weight: conv.weight.with(1, -3).with(2, 700) },
      SHAPES[0]!,
    )!;
    expect([...bias.subarray(0, 8)]).toEqual([5 - 3 * 128, 5 + 700 * 128, 5, 5, 5, 5, 5, 5]);
    expect(bias.subarray(8)).toEqual(bias.subarray(0, 8));
    // Matrices of 16 outputs with 32 channels each: the high bytes, then the low ones.
    expect([weights[1], weights[512 + 1]]).toEqual([0, -3]);
    expect([weights[32], weights[512 + 32]]).toEqual([3, 700 - 3 * 256]);
    expect(weights).toHaveLength(2 * 32 * 32);
  });
});

interface Card {
  readonly features?: readonly string[];
  readonly configs?: readonly object[];
  readonly minimum?: number;
  readonly storage?: number;
  readonly invocations?: number;
}

/** An adapter, as it describes itself. */
function card({
  features = ['chromium-experimental-subgroup-matrix', 'subgroups'],
  configs = [
    { componentType: 'f16', resultComponentType: 'f32', M: 16, N: 16, K: 16 },
    { componentType: 'i8', resultComponentType: 'i32', M: 16, N: 8, K: 32 },
    { componentType: 'i8', resultComponentType: 'i32', M: 16, N: 16, K: 32 },
  ],
  minimum = 32,
  storage = 49_152,
  invocations = 1024,
}: Card = {}): GPUAdapter {
  return {
    features: new Set(features),
    info: { subgroupMinSize: minimum, subgroupMaxSize: 32, subgroupMatrixConfigs: configs },
    limits: { maxComputeWorkgroupStorageSize: storage, maxComputeInvocationsPerWorkgroup: invocations },
  } as unknown as GPUAdapter;
}
