import { afterAll, expect, it } from 'vitest';
import { openImage } from '../../src/decode.ts';
import { encodeImage } from '../../src/encode.ts';
import type { Engine } from '../../src/engine/engine.ts';
import { openEngine } from '../../src/engine/open-engine.ts';
import { parseModel } from '../../src/network/load.ts';
import { tinyModelBytes } from '../fixtures/tiny-model.ts';

const HIDDEN = 1024;
/** What windows of the released models have, in MiB, and a row and column of sites more. */
const MOST = 64 * 1.1;

const engine = await openEngine(parseModel(tinyModelBytes({ seed: 3, priorChannels: 8, hidden: HIDDEN })), {
  engine: 'wasm',
  threads: 2,
});
afterAll(() => engine.close());

/** The engine, and how many bytes of features were held at once. */
function counting(): { readonly counted: Engine; most(): number; largest(): number } {
  let [held, most, largest] = [0, 0, 0];
  const counted: Engine = Object.create(engine, {
    features: {
      value: async (...args: Parameters<Engine['features']>) => {
        const map = await engine.features(...args);
        held += map.byteLength;
        most = Math.max(most, held);
        largest = Math.max(largest, map.byteLength);
        const close = map.close.bind(map);
        map.close = () => {
          held -= map.byteLength;
          close();
        };
        return map;
      },
    },
  });
  return { counted, most: () => most / 2 ** 20, largest: () => largest / 2 ** 20 };
}

it.each([1, 0.6])(
  'takes windows of a model with many features that are as large as others, at scale %d',
  async (scale) => {
    const [width, height] = [400, 272];
    const raster = { width, height, channels: 3 as const, data: new Uint8Array(width * height * 3).fill(90) };
    const bytes = await encodeImage(engine, raster, { quality: 30 });
    const { counted, most, largest } = counting();
    const image = await openImage(bytes, { engine: counted });
    const decoded = await image.render({ scale });
    expect(decoded.width).toBe(Math.round(width * scale));
    expect(largest()).toBeLessThanOrEqual(MOST);
    expect(most()).toBeLessThanOrEqual((engine.threads + 1) * MOST);
    await image.close();
  },
);
