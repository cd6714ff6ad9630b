/** The kernels, fetched from beside this file. */
export async function compileKernels(shared: boolean): Promise<WebAssembly.Module> {
  // Literals: bundlers look for them.
  const url = shared
    ? new URL('./kernels-shared.wasm?no-inline', import.meta.url)
    : new URL('./kernels.wasm?no-inline', import.meta.url);
  const response = await fetch(url);
  if (!response.ok) throw new Error(`${url} answered ${response.status}`);
  return WebAssembly.compile(await response.arrayBuffer());
}
