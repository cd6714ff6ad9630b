import { messageOf } from '../../errors.ts';

/** The kernels, fetched from beside this file. */
export async function compileKernels(shared: boolean): Promise<WebAssembly.Module[]> {
  // Literals: bundlers look for them. Beside this file, since esbuild and Rollup put its code into the folder
  // of the site.
  const url = shared
    ? new URL('./kernels-shared.wasm?no-inline', import.meta.url)
    : new URL('./kernels.wasm?no-inline', import.meta.url);
  try {
    const response = await fetch(url);
    if (!response.ok) throw new Error(`the answer is ${response.status}`);
    return [await WebAssembly.compile(await response.arrayBuffer())];
  } catch (cause) {
    throw new Error(`${url}: ${messageOf(cause)}`, { cause });
  }
}
