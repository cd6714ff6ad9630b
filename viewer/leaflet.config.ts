import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vite';

const here = (path: string) => fileURLToPath(new URL(path, import.meta.url));

/** The layer for other people's pages: as a module, and as a script beside Leaflet's own. */
export default defineConfig({
  root: here('.'),
  build: {
    lib: {
      entry: here('leaflet.ts'),
      name: 'liif',
      formats: ['es', 'iife'],
      fileName: (format) => (format === 'es' ? 'liif-leaflet.js' : 'liif-leaflet.global.js'),
    },
    outDir: here('../dist/leaflet'),
    emptyOutDir: true,
    target: 'es2022',
    rollupOptions: { external: ['leaflet'], output: { globals: { leaflet: 'L' } } },
  },
});
