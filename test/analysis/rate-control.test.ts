import { describe, expect, it } from 'vitest';
import { searchQuality } from '../../src/analysis/rate-control.ts';

const size = async (quality: number) => quality * 100;

describe('the search for a quality', () => {
  it('finds the highest quality that fits a size', async () => {
    for (const limit of [100, 149, 5000, 9999, 10000]) {
      const found = await searchQuality(size, (bytes) => bytes <= limit, 'highest');
      expect(found).toEqual({
        quality: Math.floor(limit / 100),
        result: Math.floor(limit / 100) * 100,
        met: true,
      });
    }
  });
  it('finds the lowest quality that reaches a PSNR', async () => {
    const psnr = async (quality: number) => 20 + quality / 5;
    expect((await searchQuality(psnr, (dB) => dB >= 30, 'lowest')).quality).toBe(50);
    expect((await searchQuality(psnr, (dB) => dB >= 1, 'lowest')).quality).toBe(1);
  });
  it('says when no quality does, and gives the nearest', async () => {
    expect(await searchQuality(size, (bytes) => bytes <= 50, 'highest')).toEqual({
      quality: 1,
      result: 100,
      met: false,
    });
    expect(await searchQuality(size, (bytes) => bytes > 1e9, 'lowest')).toEqual({
      quality: 100,
      result: 10000,
      met: false,
    });
  });
  it('needs at most seven trials', async () => {
    let trials = 0;
    await searchQuality(
      async (quality) => {
        trials++;
        return quality;
      },
      (quality) => quality <= 77,
      'highest',
    );
    expect(trials).toBeLessThanOrEqual(7);
  });
});
