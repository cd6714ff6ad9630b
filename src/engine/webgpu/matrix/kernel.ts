import { compile, type Kernels, type PlainProduct } from '../kernels.ts';
import type { ConvKernel } from '../pack.ts';
import { type ReadAsset, readShader } from '../shaders.ts';
import { packMatrices, tapsInPairs } from './pack.ts';
import type { MatrixShape } from './shape.ts';

/** Of plain-matrix.wgsl. */
const SUBGROUPS = 4;
const SUMS = 8;

/** Convolutions by matrices of this shape. `operations`: in WGSL, what a subgroup does together. */
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
  // At once, so that the device refuses none of them after the caller has heard of another.
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

/** The most that matrices of this shape can make: plain-matrix.wgsl. Four products of bytes are one of int16. */
export async function plainMatrices(
  readAsset: ReadAsset,
  shape: MatrixShape,
  operations: string,
): Promise<PlainProduct> {
  const code = `${operations}\n${await shader(readAsset, 'plain-matrix')}`;
  return { code, multiplyAdds: (SUBGROUPS * SUMS * shape.M * shape.N * shape.K) / 4 };
}

/** `unit`: bytes that offsets and strides count. */
export async function subgroupOperations(
  readAsset: ReadAsset,
  shape: MatrixShape,
  unit: number,
): Promise<string> {
  // Which sites and outputs a subgroup makes goes by the number of an invocation. That it is the same for all of them no compiler can know.
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
