import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { decodeImage } from '../../src/decode.ts';
import { encodeImage } from '../../src/encode.ts';
import { openEngine } from '../../src/engine/open-engine.ts';
import { bdRate, type RatePoint } from '../../src/metrics/bd-rate.ts';
import { psnr } from '../../src/metrics/psnr.ts';
import type { Model } from '../../src/network/model.ts';
import { mean, table } from './rd-report.ts';
import { readRgb } from './read-rgb.ts';

const QUALITIES = [1, 20, 40, 60, 80, 100];
/** Of the cost that training minimizes, bits a pixel + lambda * squared error; see format-spec/reference/network.py. */
const LAMBDA_LOW = 0.0016;
const LAMBDA_HIGH = 0.36;
/** A cost that is higher by less than this is the noise of rounding, not a worse model. */
const TOLERANCE = 0.001;

interface Point {
  readonly bitsPerPixel: number;
  readonly psnr: number;
  readonly cost: number;
}

export interface Comparison {
  readonly report: string[];
  /** Nowhere worse, and somewhere better. */
  readonly better: boolean;
  /** Nowhere worse. */
  readonly equal: boolean;
}

/** Files of both models on the pictures of a folder, by the cost that training minimizes. */
export async function compareModels(kept: Model, candidate: Model, folder: string): Promise<Comparison> {
  const names = readdirSync(folder).filter((name) => /\.(png|jpe?g|webp)$/.test(name));
  const [before, after] = [await measure(kept, folder, names), await measure(candidate, folder, names)];
  const means = (points: Point[][], i: number): Point => ({
    bitsPerPixel: mean(points.map((picture) => picture[i]!.bitsPerPixel)),
    psnr: mean(points.map((picture) => picture[i]!.psnr)),
    cost: mean(points.map((picture) => picture[i]!.cost)),
  });
  const changes = QUALITIES.map((_, i) => means(after, i).cost / means(before, i).cost - 1);
  const rows = QUALITIES.map((quality, i) => {
    const [old, fresh] = [means(before, i), means(after, i)];
    return [
      String(quality),
      old.bitsPerPixel.toFixed(4),
      old.psnr.toFixed(3),
      fresh.bitsPerPixel.toFixed(4),
      fresh.psnr.toFixed(3),
      percent(changes[i]!),
    ];
  });
  const rates = names.map((_, n) => bdRate(curve(before[n]!), curve(after[n]!)));
  return {
    report: [
      `${names.length} validation pictures, real files; cost: bits a pixel + lambda x squared error, as in training.`,
      '',
      ...table(
        ['quality', 'now: bits a pixel', 'PSNR dB', 'candidate: bits a pixel', 'PSNR dB', 'cost'],
        rows,
      ),
      '',
      `BD-rate, mean of the pictures: ${percent(mean(rates))}.`,
    ],
    equal: changes.every((change) => change <= TOLERANCE),
    better: changes.every((change) => change <= TOLERANCE) && changes.some((change) => change < -TOLERANCE),
  };
}

async function measure(model: Model, folder: string, names: readonly string[]): Promise<Point[][]> {
  const engine = await openEngine(model, { engine: 'wasm' });
  try {
    const pictures: Point[][] = [];
    for (const name of names) {
      const original = await readRgb(join(folder, name));
      const points: Point[] = [];
      for (const quality of QUALITIES) {
        const bytes = await encodeImage(engine, original, { quality });
        const value = psnr(original, await decodeImage(bytes, { engine }));
        const bitsPerPixel = (8 * bytes.length) / (original.width * original.height);
        const lambda = LAMBDA_LOW * (LAMBDA_HIGH / LAMBDA_LOW) ** ((quality - 1) / 99);
        points.push({
          bitsPerPixel,
          psnr: value,
          cost: bitsPerPixel + lambda * 255 ** 2 * 10 ** (-value / 10),
        });
      }
      pictures.push(points);
      process.stderr.write(`${name}, ${pictures.length} of ${names.length}\n`);
    }
    return pictures;
  } finally {
    await engine.close();
  }
}

function curve(points: readonly Point[]): RatePoint[] {
  return points.map((point) => ({ rate: point.bitsPerPixel, quality: point.psnr }));
}

function percent(value: number): string {
  return `${value < 0 ? '−' : '+'}${Math.abs(100 * value).toFixed(2)} %`;
}
