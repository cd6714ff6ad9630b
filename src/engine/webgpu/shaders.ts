/** The WGSL source of each kernel. `readAsset` reads their files: Node from disk, browsers by fetch. */
export interface Shaders {
  readonly conv3x3: string;
  readonly conv1x1: string;
  readonly row: string;
  readonly unshuffle: string;
  readonly head: string;
}

export type Kernel = keyof Shaders;

/** Reads a file of the package. */
export type ReadAsset = (url: URL) => Promise<Uint8Array>;

export async function readShader(readAsset: ReadAsset, url: URL): Promise<string> {
  return new TextDecoder().decode(await readAsset(url));
}

export async function readShaders(readAsset: ReadAsset): Promise<Shaders> {
  // Literals: bundlers recognize `new URL` only with one.
  const [layer, convolution, multiplyAdd, conv3x3, conv1x1, row, unshuffle, head] = await Promise.all(
    [
      new URL('./shaders/layer.wgsl?no-inline', import.meta.url),
      new URL('./shaders/convolution.wgsl?no-inline', import.meta.url),
      new URL('./shaders/multiply-add.wgsl?no-inline', import.meta.url),
      new URL('./shaders/conv3x3.wgsl?no-inline', import.meta.url),
      new URL('./shaders/conv1x1.wgsl?no-inline', import.meta.url),
      new URL('./shaders/row.wgsl?no-inline', import.meta.url),
      new URL('./shaders/unshuffle.wgsl?no-inline', import.meta.url),
      new URL('./shaders/head.wgsl?no-inline', import.meta.url),
    ].map((url) => readShader(readAsset, url)),
  );
  return {
    conv3x3: `${layer}${convolution}${multiplyAdd}${conv3x3}`,
    conv1x1: `${layer}${convolution}${multiplyAdd}${conv1x1}`,
    row: `${layer}${row}`,
    unshuffle: `${layer}${unshuffle}`,
    head: head!,
  };
}
