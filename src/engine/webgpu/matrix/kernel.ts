import { compile, type Kernels, type PlainProduct } from '../kernels.ts';
import type { ConvKernel } from '../pack.ts';
import { type ReadAsset, readShader } from '../shaders.ts';
import { packMatrices, tapsInPairs } from './pack.ts';
import type { MatrixShape } from './shape.ts';

/** Of plain-matrix.wgsl: subgroups of a workgroup, and sums of each. */
const SUBGROUPS = 4;
const SUMS = 8;

/**
 * Compiles kernels of convolutions by matrices of this shape. `operations`: WGSL of what a subgroup does
 * together.
 */
export async function matrixKernel(
  open: Kernels,
  shape: MatrixShape,
  operations: string,
): Promise<ConvKernel> {
  const read = (files: readonly string[]) => Promise.all(files.map((file) => shader(open.readAsset, file)));
  const common = await read(['layer', 'convolution', 'matrix']);
  const [tile, taps, tapPairs, points] = await read([
    'matrix3x3',
    'matrix-taps',
    'matrix-tap-pairs',
    'matrix1x1',
  ]);
  const pipeline = (name: string, ...parts: readonly (string | undefined)[]) =>
    compile(open, name, [operations, ...common, ...parts].join('\n'));
  // All at once, so that no refusal comes after the caller has got another.
  const [wide, narrow, single] = await Promise.all([
    pipeline('matrix3x3', tile, taps),
    pipeline('matrix3x3 of taps in pairs', tile, tapPairs),
    pipeline('matrix1x1', points),
  ]);
  return (conv) => {
    const packed = packMatrices(conv, shape);
    const of3x3 = tapsInPairs(conv) ? narrow : wide;
    return packed && { ...packed, pipeline: conv.kernel === 3 ? of3x3 : single };
  };
}

/**
 * The kernel that measures matrices of this shape on registers: plain-matrix.wgsl. Four products of bytes
 * count as one of int16.
 */
export async function plainMatrices(
  readAsset: ReadAsset,
  shape: MatrixShape,
  operations: string,
): Promise<PlainProduct> {
  const code = `${operations}\n${await shader(readAsset, 'plain-matrix')}`;
  return { code, multiplyAdds: (SUBGROUPS * SUMS * shape.M * shape.N * shape.K) / 4 };
}

/**
 * WGSL of what a subgroup does together: matrix-subgroup.wgsl with its constants. `unit`: bytes that offsets
 * and strides count.
 */
export async function subgroupOperations(
  readAsset: ReadAsset,
  shape: MatrixShape,
  unit: number,
): Promise<string> {
  // The sites and outputs of a subgroup follow from the number of an invocation. They are the same in all its
  // invocations, which a compiler cannot prove: hence the diagnostic.
  return `enable chromium_experimental_subgroup_matrix;
enable subgroups;
diagnostic(off, chromium.subgroup_matrix_uniformity);
${shapeConstants(shape)}const UNIT = ${unit};
${await shader(readAsset, 'matrix-subgroup')}`;
}

export function shapeConstants({ M, N, K, subgroup }: MatrixShape): string {
  return `const M = ${M};\nconst N = ${N};\nconst K = ${K};\nconst SUBGROUP = ${subgroup};\n`;
}

function shader(readAsset: ReadAsset, name: string): Promise<string> {
  return readShader(readAsset, new URL(`../shaders/${name}.wgsl`, import.meta.url));
}
