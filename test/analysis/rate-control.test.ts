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
  const trialsFor = async (limit: number, wanted: 'highest' | 'lowest', near?: number) => {
    let trials = 0;
    const meets = (quality: number) => (wanted === 'highest' ? quality <= limit : quality >= limit);
    const found = await searchQuality(
      async (quality) => quality,
      meets,
      wanted,
      () => trials++,
      near,
    );
    expect(found).toEqual({ quality: limit, result: limit, met: true });
    return trials;
  };
  it('needs at most seven trials', async () => {
    expect(await trialsFor(77, 'highest')).toBeLessThanOrEqual(7);
  });
  it.each(['highest', 'lowest'] as const)(
    'needs few trials from a quality that is near: the %s',
    async (wanted) => {
      for (const limit of [1, 2, 50, 99, 100])
        for (const away of [-9, -4, -1, 0, 1, 4, 9]) {
          const near = limit + away;
          if (near < 1 || near > 100) continue;
          expect(await trialsFor(limit, wanted, near)).toBeLessThanOrEqual(
            2 + 2 * Math.log2(1 + Math.abs(away)),
          );
        }
    },
  );
  it('says that no quality does from wherever it begins', async () => {
    for (const near of [1, 40, 100])
      expect(await searchQuality(size, (bytes) => bytes <= 50, 'highest', undefined, near)).toEqual({
        quality: 1,
        result: 100,
        met: false,
      });
  });
});
