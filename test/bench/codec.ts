/**
 * Speed and memory of the codec, every figure beside its bar.
 *
 *     npm run bench:codec -- [--quick] [--only convolutions,head,picture,entropy,memory] [--engine NAME]
 *
 * Pause other work first. --quick takes about a minute: shorter runs, and 10 megapixels instead of 105 for
 * memory. Ends with status 1 if a bar is missed.
 */
import { readFile } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import sharp from 'sharp';
import { openCommandEngine } from '../../src/cli/engine.ts';
import type { Engine } from '../../src/engine/engine.ts';
import type { Raster } from '../../src/image/raster.ts';
import { loadModel } from '../../src/network/load.ts';
import { benchConvolutions } from './codec/convolutions.ts';
import { benchEntropy } from './codec/entropy.ts';
import { benchMemory } from './codec/memory.ts';
import { benchHead, benchPicture } from './codec/picture.ts';
import { type Figure, figureTable, machineName, passes } from './figures.ts';

type Part = { report: string[]; figures: Figure[] };

const { values: options } = parseArgs({
  options: {
    quick: { type: 'boolean', default: false },
    only: { type: 'string', default: 'convolutions,head,picture,entropy,memory' },
    engine: { type: 'string', default: 'wasm' },
    threads: { type: 'string', default: '2' },
  },
});
const { quick } = options;

/** The parts in the order in which they run. */
const PARTS: Readonly<Record<string, () => Promise<Part>>> = {
  convolutions: () => benchConvolutions(quick ? 0.3 : 1.5),
  head: () => withEngine(1, (engine) => benchHead(engine, 256, quick ? 1 : 4)),
  picture: () =>
    withEngine(Number(options.threads), async (engine) =>
      benchPicture(engine, await samplePicture(768, 512), quick ? 3 : 15),
    ),
  entropy: async () =>
    benchEntropy(
      await loadModel(await readFile(new URL('../../src/model/liif-1.safetensors', import.meta.url))),
      quick ? 0.5 : 3,
    ),
  memory: () => (quick ? benchMemory(8, 5) : benchMemory(20, 20)),
};

const wanted = options.only.split(',');
for (const name of wanted)
  if (!(name in PARTS)) throw new Error(`no part ${name}; there are ${Object.keys(PARTS).join(', ')}`);

const begin = performance.now();
const figures: Figure[] = [];
process.stdout.write(`# Speed and memory of the codec\n\n${machineName()}\n`);
for (const [name, run] of Object.entries(PARTS)) {
  if (!wanted.includes(name)) continue;
  const part = await run();
  figures.push(...part.figures);
  process.stdout.write(`\n${part.report.join('\n')}\n`);
}
process.stdout.write(`\n${figureTable(figures).join('\n')}\n`);
const missed = figures.filter((figure) => !passes(figure)).length;
process.stdout.write(
  `\n${missed === 0 ? 'All bars are met' : `${missed} bars are missed`}; ${((performance.now() - begin) / 1000).toFixed(0)} s.\n`,
);
process.exitCode = missed === 0 ? 0 : 1;

async function withEngine(threads: number, use: (engine: Engine) => Promise<Part>): Promise<Part> {
  const engine = await openCommandEngine({
    engine: options.engine as 'auto',
    threads: Math.min(threads, availableParallelism()),
  });
  try {
    return await use(engine);
  } finally {
    await engine.close();
  }
}

/** Two sample photographs side by side. */
async function samplePicture(width: number, height: number): Promise<Raster> {
  const half = (name: string) =>
    sharp(fileURLToPath(new URL(`../../samples/originals/${name}`, import.meta.url)))
      .removeAlpha()
      .toColorspace('srgb')
      .resize(width / 2, height, { fit: 'cover' })
      .toBuffer();
  const { data } = await sharp({ create: { width, height, channels: 3, background: 'black' } })
    .composite([
      { input: await half('alpacas.jpg'), left: 0, top: 0 },
      { input: await half('strawberries.jpg'), left: width / 2, top: 0 },
    ])
    .removeAlpha()
    .raw()
    .toBuffer({ resolveWithObject: true });
  return { width, height, channels: 3, data: new Uint8Array(data) };
}
