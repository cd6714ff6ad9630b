import { type ChunkNetworks, decodeChunk, encodeChunk } from '../../../src/entropy/chunk.ts';
import { symbolCount } from '../../../src/network/chunk-size.ts';
import type { Model } from '../../../src/network/model.ts';
import { randomSource } from '../../fixtures/tiny-model.ts';
import type { Figure } from '../figures.ts';
import { table } from '../table.ts';
import { timeInTurn } from '../timing.ts';

const DECODE_BAR = 30;
const CHUNK = { height: 32, width: 32 };
/**
 * log2 of the symbols' deviations in steps, mean and spread. They give the rates of photographs at quality
 * 20, 60 and 95.
 */
const SPREADS = [
  { quality: 20, mean: -3.4, spread: 1.1 },
  { quality: 60, mean: -2.3, spread: 1.4 },
  { quality: 95, mean: -0.8, spread: 1.6 },
] as const;
/** Deviation of table 1 in octaves, and tables per octave: see format-spec/reference/tables.py. */
const FIRST_TABLE_OCTAVE = Math.log2(0.11);
const TABLES_PER_OCTAVE = 5;

/**
 * Speed of entropy coding on one thread, rounding and dequantization included. Tables and steps are the
 * model's; fixed means and deviations take the place of its networks.
 */
export async function benchEntropy(
  model: Model,
  seconds: number,
): Promise<{ report: string[]; figures: Figure[] }> {
  const symbols = symbolCount(model, CHUNK) / 1e6;
  const rows: string[][] = [];
  const figures: Figure[] = [];
  for (const { quality, mean, spread } of SPREADS) {
    const { analysis, networks } = fixedChunk(model, quality, mean, spread);
    const { bytes } = encodeChunk(analysis, CHUNK, quality, model, networks);
    const timings = await timeInTurn(
      [
        () => decodeChunk(bytes, CHUNK, quality, model, networks),
        () => encodeChunk(analysis, CHUNK, quality, model, networks),
      ],
      { seconds, minRuns: 5, warmUps: 5 },
    );
    rows.push([
      String(quality),
      ((8 * bytes.length) / symbols / 1e6).toFixed(2),
      ...timings.map(
        ({ min, mean: average }) => `${(symbols / min).toFixed(0)} (${(symbols / average).toFixed(0)})`,
      ),
    ]);
    figures.push({
      name: `entropy decoding, ${((8 * bytes.length) / 512 ** 2).toFixed(2)} bits a pixel, one thread`,
      value: symbols / timings[0]!.min,
      unit: 'Msymbols/s',
      atLeast: DECODE_BAR,
    });
  }
  return {
    report: [
      'Entropy coding without its networks, one thread: Msymbols/s of the fastest call (mean).',
      '',
      ...table(['quality', 'bits a symbol', 'decode', 'encode'], rows),
    ],
    figures,
  };
}

function fixedChunk(
  model: Model,
  quality: number,
  meanOctave: number,
  spread: number,
): { analysis: Int16Array; networks: ChunkNetworks } {
  const { latentChannels: channels, latent } = model;
  const random = randomSource(quality);
  /** About normal, deviation 1. */
  const normal = () => (random() + random() + random() + random() - 2) * Math.sqrt(3);
  const size = CHUNK.height * CHUNK.width * channels;
  const mean = Int16Array.from({ length: size }, () => normal() * 1000);
  const deviation = new Int16Array(size);
  const analysis = new Int16Array(size);
  for (let i = 0; i < size; i++) {
    const row = (quality - 1) * channels + (i % channels);
    const octave = meanOctave + spread * normal();
    const index = 1 + (octave - FIRST_TABLE_OCTAVE) * TABLES_PER_OCTAVE;
    deviation[i] = clampInt16(index * 2 ** latent.deviationShift - latent.deviationOffset[row]!);
    const step = latent.step[row]! / 2 ** latent.stepBits;
    analysis[i] = clampInt16(mean[i]! + normal() * 2 ** octave * step);
  }
  const h = new Int16Array(CHUNK.height * CHUNK.width * model.priorChannels);
  const z = Int16Array.from({ length: 64 * model.hyperChannels }, () => normal() * 300);
  return {
    analysis,
    networks: {
      hyperAnalysis: () => z,
      hyperSynthesis: () => h,
      prior: () => ({ mean, deviation }),
    },
  };
}

function clampInt16(value: number): number {
  return Math.max(-32768, Math.min(32767, Math.round(value)));
}
