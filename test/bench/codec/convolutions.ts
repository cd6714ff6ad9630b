import { readFile } from 'node:fs/promises';
import { MACS_A_PAIR, startPlainKernel } from '../../../src/bench/plain-kernel.ts';
import { compilePlainKernel } from '../../../src/bench/processor-speed.ts';
import { WasmHeap } from '../../../src/engine/wasm/heap.ts';
import { packLayers } from '../../../src/engine/wasm/pack/pack-layer.ts';
import { SCRATCH_BYTES } from '../../../src/engine/wasm/pack/pack-winograd.ts';
import { inputRegionRect, planLayers, regionByteLength } from '../../../src/engine/wasm/program/plan.ts';
import { type Kernels, runAlone } from '../../../src/engine/wasm/program/program.ts';
import { uniform } from '../../../src/network/flow.ts';
import type { Conv } from '../../../src/network/model.ts';
import { randomSource } from '../../fixtures/tiny-model.ts';
import type { Figure } from '../figures.ts';
import { table } from '../table.ts';
import { timeInTurn } from '../timing.ts';
import { openTensorflow, type PreparedConv, tensorflowConv } from './tensorflow-peer.ts';

/**
 * Shapes of convolutions in the released network, and limits of their inputs. Sizes make a call last a few
 * milliseconds; longer calls are interrupted on a busy machine.
 */
const SHAPES = [
  { kernel: 3, inputs: 64, outputs: 64, limit: 8191, size: 64, where: 'residuals at 1/4' },
  { kernel: 3, inputs: 128, outputs: 128, limit: 8191, size: 32, where: 'residuals at 1/8' },
  { kernel: 3, inputs: 320, outputs: 160, limit: 32767, size: 16, where: 'residuals at 1/16, first' },
  { kernel: 3, inputs: 160, outputs: 320, limit: 8191, size: 16, where: 'residuals at 1/16, second' },
  { kernel: 3, inputs: 416, outputs: 96, limit: 32767, size: 16, where: 'prior, trunk' },
  { kernel: 1, inputs: 96, outputs: 640, limit: 8191, size: 32, where: 'prior, mean and deviation' },
  { kernel: 1, inputs: 320, outputs: 512, limit: 32767, size: 32, where: 'synthesis, 1/16 to 1/8' },
  { kernel: 3, inputs: 16, outputs: 32, limit: 8191, size: 128, where: 'unfolding' },
] as const;

/**
 * Share of the plain kernel's rate on the same thread in the same run: 40 GMAC/s where the plain kernel
 * reaches 52.
 */
const PLAIN_SHARE_BAR = 40 / 52;
const PEER_BAR = 2.5;
/**
 * Rounds and pairs of activations of the plain kernel: as many multiply-adds as a 3x3 convolution of 64
 * channels.
 */
const PLAIN = { rounds: 1024, pairs: 288 };

/** Speed of single convolutions on one thread, beside TensorFlow.js, which computes in float32. */
export async function benchConvolutions(seconds: number): Promise<{ report: string[]; figures: Figure[] }> {
  await openTensorflow();
  const kernels = await openKernels();
  const plain = startPlainKernel(await compilePlainKernel());
  const rows: string[][] = [];
  const figures: Figure[] = [];
  for (const { kernel, inputs, outputs, limit, size, where } of SHAPES) {
    const ours = kernels.prepare(randomConv(kernel, inputs, outputs), limit, size);
    const theirs = tensorflowConv(size, kernel, inputs, outputs);
    const [wasm, peer, dense] = await timeInTurn(
      [ours.run, theirs.run, () => plain.multiplyAdd(PLAIN.rounds, PLAIN.pairs)],
      { seconds, minRuns: 20, warmUps: 30 },
    );
    ours.dispose();
    theirs.dispose();
    const macs = (size * size * kernel * kernel * inputs * outputs) / 1e9;
    const speed = macs / wasm!.min;
    const peerSpeed = macs / peer!.min;
    const plainSpeed = (MACS_A_PAIR * PLAIN.pairs * PLAIN.rounds) / 1e9 / dense!.min;
    rows.push([
      `${kernel}x${kernel}, ${inputs} to ${outputs}`,
      where,
      speed.toFixed(1),
      (macs / wasm!.mean).toFixed(1),
      plainSpeed.toFixed(1),
      (speed / plainSpeed).toFixed(2),
      peerSpeed.toFixed(1),
      (macs / peer!.mean).toFixed(1),
      (speed / peerSpeed).toFixed(2),
    ]);
    const wide = Math.min(inputs, outputs) >= 64;
    figures.push(
      {
        name: `convolution ${kernel}x${kernel} ${inputs} to ${outputs}, one thread`,
        value: speed,
        unit: 'GMAC/s',
      },
      {
        name: `convolution ${kernel}x${kernel} ${inputs} to ${outputs}, share of the plain kernel`,
        value: speed / plainSpeed,
        unit: '',
        ...(wide && { atLeast: PLAIN_SHARE_BAR }),
      },
      {
        name: `convolution ${kernel}x${kernel} ${inputs} to ${outputs}, times TensorFlow.js`,
        value: speed / peerSpeed,
        unit: '',
        ...(wide && { atLeast: PEER_BAR }),
      },
    );
  }
  const report = table(
    ['convolution', 'where', 'GMAC/s', 'mean', 'plain kernel', 'share', 'TensorFlow.js', 'mean', 'ratio'],
    rows,
  );
  return {
    report: [
      'Convolutions, one thread each; fastest call and mean. The plain kernel: dense multiply-adds from the first-level cache, nothing else.',
      'Counted as the layers ask for them; 3x3 over activations of at most 8191 takes 16 for 36 of them.',
      '',
      ...report,
    ],
    figures,
  };
}

/** The engine's kernels and plans, on the calling thread. */
async function openKernels(): Promise<{ prepare(conv: Conv, limit: number, size: number): PreparedConv }> {
  const heap = new WasmHeap(false, 2 ** 28);
  const code = await readFile(new URL('../../../src/engine/wasm/kernels.wasm', import.meta.url));
  const { instance } = await WebAssembly.instantiate(code, { env: { memory: heap.memory } });
  const kernels = instance.exports as unknown as Kernels;
  kernels.useScratch(heap.allocate(SCRATCH_BYTES));
  return {
    prepare(conv, limit, size) {
      const layers = packLayers([conv], uniform(conv.inputs, limit), heap);
      const extent = { height: size, width: size };
      const window = { top: 0, left: 0, ...extent };
      const rect = inputRegionRect(layers, window, extent);
      const bytes = regionByteLength(rect, conv.inputs);
      const address = heap.allocate(bytes);
      const random = randomSource(2);
      const input = new Int16Array(heap.memory.buffer, address, bytes / 2);
      for (let i = 0; i < input.length; i++) input[i] = (random() - 0.5) * 2000;
      const plan = planLayers(layers, { address, rect, channels: conv.inputs }, extent, window, 1, heap);
      return {
        run: () => runAlone(kernels, plan.operations),
        dispose: () => {
          heap.free(address);
          heap.free(plan.output.address);
        },
      };
    },
  };
}

function randomConv(kernel: 1 | 3, inputs: number, outputs: number): Conv {
  const random = randomSource(1);
  const length = kernel * kernel * inputs;
  return {
    op: 'conv',
    kernel,
    inputs,
    outputs,
    weight: Int16Array.from({ length: outputs * length }, () => (random() - 0.5) * 1000),
    bias: new Int32Array(outputs),
    biasRows: 1,
    shift: 12,
    limit: 32767,
    leaky: true,
  };
}
