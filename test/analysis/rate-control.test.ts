import { describe, expect, it } from 'vitest';
import { psnrTarget, searchQuality, sizeTarget, type Target } from '../../src/analysis/rate-control.ts';

const size = async (quality: number) => quality * 100;
const atMost = (limit: number): Target<number> => ({
  wanted: 'highest',
  meets: (bytes) => bytes <= limit,
  shortBy: (bytes) => (limit - bytes) / 100,
});
const atLeast = (limit: number, wrong = 1): Target<number> => ({
  wanted: 'lowest',
  meets: (value) => value >= limit,
  shortBy: (value) => (limit - value) * wrong,
});

describe('the search for a quality', () => {
  it('finds the highest quality that fits a size', async () => {
    for (const limit of [100, 149, 5000, 9999, 10000]) {
      const quality = Math.floor(limit / 100);
      const found = await searchQuality(size, atMost(limit));
      expect(found).toEqual({ quality, result: quality * 100, met: true });
    }
  });

  it('finds the lowest quality that reaches a PSNR', async () => {
    const psnr = async (quality: number) => 20 + quality / 5;
    expect((await searchQuality(psnr, atLeast(30))).quality).toBe(50);
    expect((await searchQuality(psnr, atLeast(30.1))).quality).toBe(51);
    expect((await searchQuality(psnr, atLeast(1))).quality).toBe(1);
  });

  it.each([1, 40, 50, 100])('says when no quality does, from %i on, and gives the nearest', async (first) => {
    const none = await searchQuality(size, atMost(50), undefined, first);
    expect(none).toEqual({ quality: 1, result: 100, met: false });
    const all = await searchQuality(size, atLeast(1e9), undefined, first);
    expect(all).toEqual({ quality: 100, result: 10000, met: false });
  });

  it('finds a PSNR that only a quality below 100 has, as of small pictures', async () => {
    const peaked = async (quality: number) => 40 - Math.abs(quality - 97) / 20;
    expect(await searchQuality(peaked, atLeast(40))).toEqual({ quality: 97, result: 40, met: true });
    const flat = async (quality: number) => (quality === 81 ? 43 : 40);
    expect(await searchQuality(flat, atLeast(43))).toEqual({ quality: 81, result: 43, met: true });
  });

  it('does not look further for what all qualities are far from, and gives the best it has seen', async () => {
    const tried: number[] = [];
    const peaked = async (quality: number) => {
      tried.push(quality);
      return quality === 99 ? 41 : 40;
    };
    expect((await searchQuality(peaked, atLeast(60))).met).toBe(false);
    expect(tried.length).toBeLessThan(8);
    expect(await searchQuality(peaked, atLeast(44))).toEqual({ quality: 99, result: 41, met: false });
  });

  const trialsFor = async (curve: (quality: number) => number, wanted: number, first?: number, wrong = 1) => {
    const tried: number[] = [];
    const trial = async (quality: number) => {
      tried.push(quality);
      return curve(quality);
    };
    const found = await searchQuality(trial, atLeast(curve(wanted), wrong), undefined, first);
    expect(found.quality).toBe(wanted);
    expect(new Set(tried).size).toBe(tried.length);
    return tried.length;
  };

  it('needs three trials where it knows how sizes rise, from wherever it begins', async () => {
    for (const first of [1, 37, 50, 100])
      for (let wanted = 1; wanted <= 100; wanted++)
        expect(await trialsFor((quality) => quality, wanted, first)).toBeLessThanOrEqual(3);
  });

  it('needs five at most where they rise unevenly, and faster or slower than was thought', async () => {
    // Nats of size of the Kodak set at qualities 0, 20, ... 100.
    const nats = [0, 0.66, 1.31, 1.86, 2.33, 2.72];
    const curve = (quality: number) => {
      const i = Math.min(4, Math.floor(quality / 20));
      return nats[i]! + ((nats[i + 1]! - nats[i]!) * (quality - 20 * i)) / 20;
    };
    for (const wrong of [1, 0.5, 1.5])
      for (let wanted = 1; wanted <= 100; wanted++)
        expect(await trialsFor(curve, wanted, 50, wrong / 0.028)).toBeLessThanOrEqual(5);
  });

  it('ends wherever the results lead it', async () => {
    for (const wrong of [0, 1000, Number.NaN, Number.POSITIVE_INFINITY])
      for (let wanted = 1; wanted <= 100; wanted++)
        expect(await trialsFor((quality) => 2 ** quality, wanted, 50, wrong)).toBeLessThanOrEqual(12);
  });
});

it('aims at sizes and PSNRs that are met exactly, and tells by about how many qualities results are short', () => {
  const size = sizeTarget(1000);
  const bytesOf = (length: number) => ({ bytes: new Uint8Array(length) });
  expect(size.wanted).toBe('highest');
  expect([999, 1000, 1001].map((length) => size.meets(bytesOf(length)))).toEqual([true, true, false]);
  expect(size.shortBy(bytesOf(1000))).toBe(0);
  // A quality adds 2.8 % to the size of a photograph, and 0.14 dB to its PSNR.
  expect(size.shortBy(bytesOf(756))).toBeCloseTo(10, 0);
  expect(size.shortBy(bytesOf(1323))).toBeCloseTo(-10, 0);
  const psnr = psnrTarget(40);
  expect(psnr.wanted).toBe('lowest');
  expect([39.9, 40, 40.1].map((value) => psnr.meets({ psnr: value }))).toEqual([false, true, true]);
  expect(psnr.shortBy({ psnr: 38.6 })).toBeCloseTo(10);
  expect(psnr.shortBy({ psnr: 41.4 })).toBeCloseTo(-10);
});

it('tells of each trial before it is made, those below the top too, and makes none twice', async () => {
  const tried: number[] = [];
  let told = 0;
  // As good at 97 as at 100, and never good enough.
  const trial = async (quality: number) => {
    tried.push(quality);
    expect(told).toBe(tried.length);
    return quality >= 97 ? 41 : 40;
  };
  const found = await searchQuality(trial, atLeast(42), () => told++, 97);
  expect(found).toEqual({ quality: 97, result: 41, met: false });
  expect(tried).toEqual([97, 98, 99, 100, 95, 93, 90, 87, 84, 81, 78, 75, 70]);
});
