import { describe, expect, it } from 'vitest';
import { coverHiddenColors } from '../../src/image/alpha/hidden-colors.ts';
import { convertByShaper, PRIMARIES } from '../../src/image/color/shaper.ts';
import type { Raster } from '../../src/image/raster.ts';
import { reduce } from '../../src/image/reduce.ts';

/** Opaque on its left half. */
const large: Raster = { width: 2048, height: 1024, channels: 4, data: new Uint8Array(2048 * 1024 * 4) };
for (let i = 0; i < large.data.length; i += 4) large.data[i + 3] = (i >> 2) % 2048 < 1024 ? 255 : 0;

const curve = (x: number) => x;
const shaper = { curves: [curve, curve, curve], columns: PRIMARIES['display-p3'] };

describe.each([
  ['covering hidden colors', coverHiddenColors],
  [
    'conversion by a profile',
    (raster: Raster, signal?: AbortSignal) =>
      convertByShaper({ ...raster, data: raster.data.slice() }, shaper, 'srgb', signal),
  ],
  ['reduction', (raster: Raster, signal?: AbortSignal) => reduce(raster, 4, signal)],
])('%s of a large picture', (_name, compute) => {
  it('lets the event loop go on, and ends when it is not wanted any more', async () => {
    const unwanted = new AbortController();
    setTimeout(() => unwanted.abort(new Error('not wanted')), 1);
    await expect(compute(large, unwanted.signal)).rejects.toThrow('not wanted');
  });
});
