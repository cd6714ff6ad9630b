/**
 * One process of `memory.ts`, whose peak memory is measured: `encode IN.tif OUT.liif`, as the command line
 * does it, or `regions FILE.liif x,y,width,height ...`. Prints a ChildReport.
 */
import { openCommandEngine } from '../../../src/cli/engine.ts';
import { openImage } from '../../../src/decode.ts';
import { encodeImageTo } from '../../../src/encode.ts';
import { writeAtomically } from '../../../src/image/atomic-file.ts';
import { readImage } from '../../../src/image/read.ts';
import { fileSource } from '../../../src/reader/file-source.ts';
import type { ChildReport } from './memory.ts';

const [command, input, ...rest] = process.argv.slice(2);
if (input === undefined || (command !== 'encode' && command !== 'regions')) process.exit(2);
const engine = await openCommandEngine({ engine: 'wasm' });
const start = performance.now();
const regionBytes = command === 'encode' ? undefined : await decodeRegions(input, rest);
if (command === 'encode') {
  const { raster } = await readImage(input);
  await writeAtomically(rest[0]!, (file) => encodeImageTo(engine, raster, file, { quality: 60 }));
}
const report: ChildReport = {
  peakBytes: process.resourceUsage().maxRSS * 1024,
  seconds: (performance.now() - start) / 1000,
  ...(regionBytes && { regionBytes }),
};
process.stdout.write(JSON.stringify(report));
await engine.close();

/**
 * Decodes each region from a newly opened file. Resolves with the bytes that each reads after header and
 * index.
 */
async function decodeRegions(path: string, regions: readonly string[]): Promise<number[]> {
  const counts: number[] = [];
  for (const region of regions) {
    const [x, y, width, height] = region.split(',').map(Number) as [number, number, number, number];
    const source = await fileSource(path);
    let bytes = 0;
    const image = await openImage(
      {
        ...source,
        async getBytes(offset, length, signal) {
          const result = await source.getBytes(offset, length, signal);
          bytes += result.length;
          return result;
        },
      },
      { engine },
    );
    bytes = 0;
    await image.render({ region: { x, y, width, height } });
    await image.close();
    counts.push(bytes);
  }
  return counts;
}
