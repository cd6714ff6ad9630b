import { EngineError } from '../../errors.ts';

export interface DeviceOptions {
  /**
   * Whether to take an adapter that computes on the processor, for tests. Default false: the wasm engine is
   * faster.
   */
  readonly software?: boolean;
  /** Most bytes that kernels bind at once. Default and limit: the adapter's. */
  readonly maxBindingBytes?: number;
  /**
   * Further features and limits to ask this adapter's device for. If the adapter refuses, the device comes
   * without.
   */
  readonly requirements?: (adapter: GPUAdapter) => DeviceRequirements | undefined;
}

export interface DeviceRequirements {
  readonly features: readonly GPUFeatureName[];
  readonly limits: Readonly<Record<string, number>>;
}

/** A device, and its properties. */
export interface OpenDevice {
  readonly device: GPUDevice;
  /** The adapter that it is of. */
  readonly adapter: GPUAdapter;
  /** For people: vendor, architecture, driver. */
  readonly description: string;
  readonly maxBindingBytes: number;
  /** Whether it computes on the processor. */
  readonly software: boolean;
  /** Settles as `work` does, but rejects with EngineError once the device is lost or destroyed. */
  readonly unlessLost: <T>(work: Promise<T>) => Promise<T>;
}

/** Limits that the kernels need, whatever the sizes of tensors. */
const NEEDED = {
  maxComputeInvocationsPerWorkgroup: 128,
  maxComputeWorkgroupStorageSize: 14_976,
  maxStorageBuffersPerShaderStage: 6,
  maxComputeWorkgroupsPerDimension: 65_535,
} as const;
/** An adapter that binds less is refused: not even small windows would fit. */
const LEAST_BINDING_BYTES = 2 ** 20;

/**
 * Opens the fastest adapter's device. Rejects with EngineError if there is no adapter, or the one there is
 * does not meet the needs of the kernels.
 */
export async function openDevice(gpu: GPU | undefined, options: DeviceOptions = {}): Promise<OpenDevice> {
  if (gpu === undefined) throw new EngineError('WebGPU is not available here');
  const adapter = await gpu.requestAdapter({ powerPreference: 'high-performance' }).catch(refuse);
  if (!adapter) throw new EngineError('WebGPU finds no graphics adapter');
  const { info, limits } = adapter;
  const description = [info.vendor, info.architecture, info.device, info.description]
    .filter((part) => part !== '')
    .join(' ');
  if (info.isFallbackAdapter && !options.software)
    throw new EngineError(`WebGPU finds only a software adapter (${description}), slower than wasm`);
  for (const [name, needed] of Object.entries(NEEDED)) {
    const offered = limits[name as keyof typeof NEEDED];
    if (offered < needed)
      throw new EngineError(
        `The graphics adapter (${description}) has a ${name} of ${offered}, less than ${needed}`,
      );
  }
  const maxBindingBytes = Math.min(
    limits.maxStorageBufferBindingSize,
    limits.maxBufferSize,
    options.maxBindingBytes ?? Number.POSITIVE_INFINITY,
  );
  if (maxBindingBytes < LEAST_BINDING_BYTES)
    throw new EngineError(
      `The graphics adapter (${description}) binds only ${maxBindingBytes} bytes at once`,
    );
  const requiredLimits = {
    maxStorageBufferBindingSize: limits.maxStorageBufferBindingSize,
    maxBufferSize: limits.maxBufferSize,
  };
  const device = await requestDevice(adapter, requiredLimits, options.requirements?.(adapter)).catch(refuse);
  return {
    device,
    adapter,
    description,
    maxBindingBytes,
    software: info.isFallbackAdapter === true,
    unlessLost: unlessLost(device),
  };
}

/**
 * Not by `Promise.race`: `device.lost`, which usually never settles, would keep all results that it was ever
 * raced with.
 */
function unlessLost(device: GPUDevice): OpenDevice['unlessLost'] {
  const waiting = new Set<(loss: EngineError) => void>();
  let loss: EngineError | undefined;
  void device.lost.then(({ reason, message }) => {
    loss = new EngineError(
      reason === 'destroyed'
        ? 'the engine is closed'
        : `The graphics device was lost: ${message || 'no reason given'}`,
    );
    for (const reject of waiting) reject(loss);
  });
  return (work) =>
    new Promise((resolve, reject) => {
      waiting.add(reject);
      void work.then(resolve, reject).finally(() => waiting.delete(reject));
      if (loss) reject(loss);
    });
}

/** A device with these requirements, or without them if the adapter refuses. */
async function requestDevice(
  adapter: GPUAdapter,
  requiredLimits: Record<string, number>,
  requirements: DeviceRequirements | undefined,
): Promise<GPUDevice> {
  const plain = () => adapter.requestDevice({ requiredLimits });
  if (!requirements) return plain();
  return adapter
    .requestDevice({
      requiredFeatures: requirements.features,
      requiredLimits: { ...requirements.limits, ...requiredLimits },
    })
    .catch(plain);
}

function refuse(cause: unknown): never {
  throw new EngineError(`WebGPU refuses: ${(cause as Error).message}`, { cause });
}
