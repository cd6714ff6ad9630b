import type { DeviceRequirements } from '../device.ts';

/**
 * The matrices of signed bytes that a subgroup of the device multiplies together: (M, K) by (K, N), summed up
 * in int32.
 */
export interface MatrixShape {
  readonly M: number;
  readonly N: number;
  readonly K: number;
  /** Invocations of a subgroup. */
  readonly subgroup: number;
}

/** Features that matrices need. They are proposed for WGSL, and an experiment in Dawn. */
const FEATURES = [
  'chromium-experimental-subgroup-matrix',
  'subgroups',
] as readonly string[] as GPUFeatureName[];
/** Workgroup memory of matrix.wgsl with matrix3x3.wgsl. */
const WORKGROUP_BYTES = 17_280;

/** A part of GPUAdapterInfo that the types of WebGPU do not have yet. */
interface MatrixInfo {
  readonly subgroupMatrixConfigs?: Iterable<{
    readonly componentType: string;
    readonly resultComponentType: string;
    readonly M: number;
    readonly N: number;
    readonly K: number;
  }>;
}

/** The largest matrices of an adapter that the kernels can use; undefined if there are none. */
export function matrixShape({ features, info, limits }: GPUAdapter): MatrixShape | undefined {
  const { subgroupMinSize, subgroupMaxSize: subgroup } = info;
  if (!FEATURES.every((feature) => features.has(feature))) return undefined;
  if (subgroup === undefined || subgroupMinSize !== subgroup) return undefined;
  if (limits.maxComputeWorkgroupStorageSize < WORKGROUP_BYTES) return undefined;
  const { subgroupMatrixConfigs = [] } = info as MatrixInfo;
  return [...subgroupMatrixConfigs]
    .filter((config) => config.componentType === 'i8' && config.resultComponentType === 'i32')
    .map(({ M, N, K }) => ({ M, N, K, subgroup }))
    .filter((shape) => divides(shape) && invocations(shape) <= limits.maxComputeInvocationsPerWorkgroup)
    .sort((a, b) => b.M * b.N * b.K - a.M * a.N * a.K)[0];
}

/**
 * Whether matrices fill tiles of 16 columns, blocks of 32 outputs and slices of 32 channels without
 * remainder.
 */
function divides({ M, N, K }: MatrixShape): boolean {
  return 16 % M === 0 && 16 % N === 0 && N % 4 === 0 && 32 % K === 0 && K % 4 === 0;
}

/** THREADS of matrix.wgsl. */
function invocations({ M, N, subgroup }: MatrixShape): number {
  return (1024 / (M * N)) * subgroup;
}

/** Features and limits to ask the device for; undefined if the adapter has no such matrices. */
export function matrixRequirements(adapter: GPUAdapter): DeviceRequirements | undefined {
  const shape = matrixShape(adapter);
  if (!shape) return undefined;
  const threads = invocations(shape);
  return {
    features: FEATURES,
    limits: {
      maxComputeWorkgroupStorageSize: WORKGROUP_BYTES,
      maxComputeInvocationsPerWorkgroup: threads,
      maxComputeWorkgroupSizeX: threads,
    },
  };
}
