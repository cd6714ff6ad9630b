import { expect, it } from 'vitest';
import type { Engine, Rect } from '../../../src/engine/engine.ts';
import { largestBlock } from '../../../src/pixels/blocks.ts';
import { directoryOf, encoded, picture, startServer, testEngine } from '../server-fixture.ts';

it('blocks of features are smaller where a model has many hidden units, so that none takes more than 64 MiB', async () => {
  expect([32, 512, 4096].map(largestBlock)).toEqual([1024, 256, 90]);
  const engine = await testEngine();
  const asked: Rect[] = [];
  const wide: Engine = {
    ...engine,
    // Only its number of hidden units is another.
    model: { ...engine.model, head: { ...engine.model.head, hidden: 4096 } },
    features: (...call) => {
      asked.push(call[2]);
      return engine.features(...call);
    },
    decodeChunk: (...call) => engine.decodeChunk(...call),
    pixels: (...call) => engine.pixels(...call),
    close: () => engine.close(),
  };
  const server = await startServer({
    roots: [await directoryOf({ 'a.liif': await encoded(picture(300, 200)) })],
    openEngine: async () => wide,
  });
  expect((await server.get('/a/0/0/0.png')).status).toBe(200);
  expect(asked.length).toBeGreaterThan(1);
  // A block that native pixels are kept of has one more row and column.
  for (const { width, height } of asked) expect(Math.max(width, height)).toBeLessThanOrEqual(91);
});
