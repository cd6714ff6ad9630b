import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vite';
import { compactShaders } from '../src/engine/webgpu/shaders/compact.ts';
import { bundledLicenses } from './build/bundled-licenses.ts';
import { picturePages } from './build/picture-pages.ts';

const here = (path: string) => fileURLToPath(new URL(path, import.meta.url));

const licenses = bundledLicenses('assets/licenses.md');

/** The viewer that `liif serve` shows. Addresses are relative, so that it can be mounted anywhere. */
export default defineConfig({
  root: here('.'),
  base: './',
  plugins: [compactShaders, licenses.page, picturePages()],
  resolve: { alias: [{ find: /^leaflet$/, replacement: 'leaflet/dist/leaflet-src.esm.js' }] },
  build: {
    outDir: here('../dist/viewer'),
    emptyOutDir: true,
    target: 'es2022',
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
  },
  // One file each: a file that a worker imports is asked for a round trip later.
  worker: {
    format: 'es',
    plugins: () => [licenses.workers],
    rolldownOptions: { output: { codeSplitting: false } },
  },
});
