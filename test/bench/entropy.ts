/**
 * Speed of entropy coding alone, dequantization included: chunks of 32 x 32 latents, 320 channels, networks replaced by fixed tables of
 * means and deviations. Run: npx tsx test/bench/entropy.ts
 */
import { type ChunkNetworks, decodeChunk, encodeChunk, symbolCount } from '../../src/entropy/chunk.ts';
import { loadModel } from '../../src/network/load.ts';
import { randomSource, tinyModelBytes } from '../fixtures/tiny-model.ts';

const REPETITIONS = 40;
const chunk = { height: 32, width: 32 };
const model = await loadModel(
  tinyModelBytes({ seed: 5, latentChannels: 320, hyperChannels: 64, priorChannels: 96 }),
);
const random = randomSource(5);
const size = chunk.height * chunk.width * model.latentChannels;
const gaussian = () => random() + random() + random() + random() - 2;

const mean = Int16Array.from({ length: size }, () => gaussian() * 4000);
const h = new Int16Array(chunk.height * chunk.width * model.priorChannels);
const z = Int16Array.from({ length: 64 * model.hyperChannels }, () => gaussian() * 4000);

for (const quality of [10, 40, 70, 95]) {
  // Deviations of 0.02 to 1.2 steps' tables around what the quality's offsets ask for; analysis outputs to match.
  const deviation = Int16Array.from({ length: size }, () => gaussian() * 150);
  const analysis = mean.map((value) => value + gaussian() * 4000);
  const networks: ChunkNetworks = {
    hyperAnalysis: () => z,
    hyperSynthesis: () => h,
    prior: () => ({ mean, deviation }),
  };
  let bytes: Uint8Array = new Uint8Array();
  const encode = measure(() => {
    bytes = encodeChunk(analysis, chunk, { quality, optimize: 1 }, model, networks).bytes;
  });
  const plain = measure(() => encodeChunk(analysis, chunk, { quality, optimize: 0 }, model, networks));
  const decode = measure(() => decodeChunk(bytes, chunk, quality, model, networks));
  const symbols = symbolCount(model, chunk) / 1e6;
  const rate = ({ min, average }: Timing) =>
    `${(symbols / min).toFixed(1)} (mean ${(symbols / average).toFixed(1)})`;
  console.log(
    `quality ${quality}: ${((8 * bytes.length) / symbols / 1e6).toFixed(2)} bits a symbol; Msymbols/s: decode ${rate(decode)}, encode ${rate(encode)}, plain rounding ${rate(plain)}`,
  );
}

interface Timing {
  readonly min: number;
  readonly average: number;
}

/** Seconds of one call, after a warm-up. */
function measure(work: () => void): Timing {
  for (let i = 0; i < 5; i++) work();
  let min = Number.POSITIVE_INFINITY;
  let sum = 0;
  for (let i = 0; i < REPETITIONS; i++) {
    const start = performance.now();
    work();
    const seconds = (performance.now() - start) / 1000;
    min = Math.min(min, seconds);
    sum += seconds;
  }
  return { min, average: sum / REPETITIONS };
}
