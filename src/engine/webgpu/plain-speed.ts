import { EngineError } from '../../errors.ts';
import type { PlainSpeed } from '../engine.ts';
import type { OpenDevice } from './device.ts';
import type { Kernels } from './kernels.ts';
import { readShader } from './shaders.ts';

/** GPUBufferUsage, which Node does not have as a global. */
const USAGE = { copySource: 4, copyDestination: 8, storage: 128 } as const;
/** Of plain-product.wgsl: invocations of a workgroup, and multiply-adds of each in a round. */
const WORKGROUP = 256;
const CHAINS = 16;
const ROUNDS = 256;
/** A measurement lasts at least so long; the work grows until it does. */
const LEAST_SECONDS = 0.05;
const WORKGROUPS_A_ROW = 2 ** 15;
const MOST_WORKGROUPS = 2 ** 20;
/**
 * A quarter of a terabyte, read and written: the fastest cards take that much for the time to submit not to
 * show.
 */
const MOST_COPIES = 1024;
const COPY_BYTES = 128 * 2 ** 20;

/**
 * Measures products on registers, of the kind that convolutions use on this device, and copies of a buffer
 * that is too large for caches. Rejects with EngineError if the device is lost.
 */
export async function plainSpeed(open: Kernels, signal?: AbortSignal): Promise<PlainSpeed> {
  const { device, unlessLost, readAsset, plainProduct } = open;
  const { code, multiplyAdds } = (await plainProduct?.()) ?? {
    code: await readShader(readAsset, new URL('./shaders/plain-product.wgsl', import.meta.url)),
    multiplyAdds: WORKGROUP * CHAINS,
  };
  const result = device.createBuffer({ size: 16, usage: USAGE.storage });
  const copyBytes = Math.min(COPY_BYTES, device.limits.maxBufferSize);
  const [from, to] = [0, 1].map(() =>
    device.createBuffer({ size: copyBytes, usage: USAGE.copySource | USAGE.copyDestination }),
  );
  try {
    const pipeline = await unlessLost(
      device.createComputePipelineAsync({
        layout: 'auto',
        compute: {
          module: device.createShaderModule({ code }),
          entryPoint: 'main',
          constants: { rounds: ROUNDS },
        },
      }),
    );
    const bindGroup = device.createBindGroup({
      layout: pipeline.getBindGroupLayout(0),
      entries: [{ binding: 0, resource: { buffer: result } }],
    });
    const product = await perSecond(open, signal, MOST_WORKGROUPS, (encoder, workgroups) => {
      const pass = encoder.beginComputePass();
      pass.setPipeline(pipeline);
      pass.setBindGroup(0, bindGroup);
      pass.dispatchWorkgroups(
        Math.min(workgroups, WORKGROUPS_A_ROW),
        Math.ceil(workgroups / WORKGROUPS_A_ROW),
      );
      pass.end();
    });
    const copies = await perSecond(open, signal, MOST_COPIES, (encoder, count) => {
      for (let i = 0; i < count; i++) encoder.copyBufferToBuffer(from!, 0, to!, 0, copyBytes);
    });
    return {
      gigaMacs: (product * multiplyAdds * ROUNDS) / 1e9,
      copyGigabytes: (copies * 2 * copyBytes) / 1e9,
    };
  } catch (cause) {
    if (signal?.aborted || cause instanceof EngineError) throw cause;
    throw new EngineError(`The graphics device refuses: ${(cause as Error).message}`, { cause });
  } finally {
    for (const buffer of [result, from!, to!]) buffer.destroy();
  }
}

/** Units of work per second, in the best of three submissions that are large enough to be measured. */
async function perSecond(
  { device, unlessLost }: OpenDevice,
  signal: AbortSignal | undefined,
  most: number,
  record: (encoder: GPUCommandEncoder, count: number) => void,
): Promise<number> {
  const time = async (count: number) => {
    signal?.throwIfAborted();
    const encoder = device.createCommandEncoder();
    record(encoder, count);
    const start = performance.now();
    device.queue.submit([encoder.finish()]);
    await unlessLost(device.queue.onSubmittedWorkDone());
    return (performance.now() - start) / 1000;
  };
  await time(1);
  let count = 1;
  let least = await time(count);
  while (least < LEAST_SECONDS && count < most) {
    count = Math.min(most, count * 4);
    least = await time(count);
  }
  for (let i = 0; i < 2; i++) least = Math.min(least, await time(count));
  return count / least;
}
