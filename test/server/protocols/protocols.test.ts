import { describe, expect, it } from 'vitest';
import { toNumber, toRational } from '../../../src/head/rational.ts';
import { nativeZoom } from '../../../src/pixels/tile.ts';
import { Problem } from '../../../src/server/problem.ts';
import { dziDescriptor, dziMaxLevel, dziRendering } from '../../../src/server/protocols/dzi.ts';
import { iiifImage } from '../../../src/server/protocols/iiif.ts';
import { iiifInfo } from '../../../src/server/protocols/iiif-info.ts';
import { parseIiifParameters } from '../../../src/server/protocols/iiif-parameters.ts';
import { tileJson } from '../../../src/server/protocols/tilejson.ts';
import { type PixelRatio, tileRendering } from '../../../src/server/protocols/xyz.ts';

const limits = { maxWidth: 4000, maxHeight: 4000, maxArea: 4_000_000 };
const size = { width: 1300, height: 700 };
const canvas = { picture: size, factor: 1 };

function iiif(region: string, wanted: string, version: 2 | 3 = 3, on = canvas) {
  const upright = { rotation: '0', quality: 'default', format: 'jpg' };
  const parameters = parseIiifParameters(version, { region, size: wanted, ...upright });
  return iiifImage(version, on, parameters, limits).rendering;
}

function statusOf(action: () => unknown): number {
  try {
    action();
    return 200;
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    return error.status;
  }
}

describe('IIIF sizes', () => {
  it.each([
    ['full', 'max', 1300, 700],
    ['full', '650,', 650, 350],
    ['full', ',350', 650, 350],
    ['full', '100,100', 100, 100],
    ['full', '!400,400', 400, 215],
    ['full', 'pct:50', 650, 350],
    ['full', 'pct:0.01', 1, 1],
    ['square', 'max', 700, 700],
    ['0,0,100,50', 'max', 100, 50],
    ['1200,600,500,500', 'max', 100, 100],
    ['pct:50,50,50,50', 'max', 650, 350],
    ['full', '^2600,', 2600, 1400],
    ['full', '^!2000,3000', 2000, 1077],
    ['0,0,100,50', '^max', 2828, 1414],
    // As large as possible within the limits.
    ['0,0,100,50', '!100,51', 100, 50],
    ['0,0,100,50', '^!100000,100000', 2828, 1414],
  ])('%s/%s is %i x %i', (region, wanted, width, height) => {
    expect(iiif(region, wanted).query).toMatchObject({ width, height });
  });

  it.each([
    ['full', '1301,'],
    ['full', ',701'],
    ['full', '1300,701'],
    ['full', '!2000,3000'],
    ['full', 'pct:101'],
    ['0,0,10,10', '11,'],
    ['1300,0,1,1', 'max'],
    ['0,700,1,1', 'max'],
    ['pct:100,0,10,10', 'max'],
    ['pct:0,0,0,10', 'max'],
  ])('%s/%s is a 400', (region, wanted) => {
    expect(statusOf(() => iiif(region, wanted))).toBe(400);
  });

  it('beyond the limits are a 413 that names them', () => {
    expect(statusOf(() => iiif('full', '^4001,'))).toBe(413);
    expect(statusOf(() => iiif('full', '^3999,3999'))).toBe(413);
    try {
      iiif('full', '^4001,');
    } catch (error) {
      expect((error as Problem).members).toEqual(limits);
    }
  });

  it('enlarge without a mark in version 2', () => {
    expect(iiif('full', '2600,', 2).query).toMatchObject({ width: 2600, height: 1400 });
  });

  it('that are to fit into a box fit into the limits, too, in version 2', () => {
    expect(iiif('full', '!2000,3000', 2).query).toMatchObject({ width: 2000, height: 1077 });
    expect(iiif('0,0,100,50', '!100000,100000', 2).query).toMatchObject({ width: 2828, height: 1414 });
  });

  it('of a canvas that is larger than the limits are the largest within them', () => {
    const { query } = iiif('full', 'max', 3, { picture: size, factor: 64 });
    expect(query.width * query.height).toBeLessThanOrEqual(limits.maxArea);
    expect(query.width).toBe(2725);
  });
});

describe('the canonical form', () => {
  const canonical = (region: string, wanted: string, version: 2 | 3 = 3) => {
    const turned = { rotation: '360', quality: 'color', format: 'png' };
    const parameters = parseIiifParameters(version, { region, size: wanted, ...turned });
    return iiifImage(version, canvas, parameters, limits).canonical;
  };
  it.each([
    ['0,0,1300,700', '1300,', 'full/max/0/default.png'],
    ['pct:0,0,100,100', 'pct:50', 'full/650,350/0/default.png'],
    ['square', '!100,200', '300,0,700,700/100,100/0/default.png'],
    ['full', '^2600,1400', 'full/^2600,1400/0/default.png'],
  ])('of %s/%s is %s', (region, wanted, expected) => {
    expect(canonical(region, wanted)).toBe(expected);
  });
  it('of version 2 leaves the height out', () => {
    expect(canonical('full', '650,350', 2)).toBe('full/650,/0/default.png');
    expect(canonical('full', 'full', 2)).toBe('full/full/0/default.png');
  });
});

describe('info.json', () => {
  it('offers factors down to one tile and only sizes that are served', () => {
    const info = iiifInfo(3, 'http://h/iiif/3/a', { picture: size, factor: 64 }, limits) as {
      '@context': string;
      width: number;
      tiles: { scaleFactors: number[] }[];
      sizes: { width: number; height: number }[];
    };
    expect(info.width).toBe(83_200);
    expect(info.tiles[0]!.scaleFactors).toEqual([1, 2, 4, 8, 16, 32, 64, 128, 256]);
    for (const { width, height } of info.sizes)
      expect(statusOf(() => iiif('full', `${width},${height}`, 3, { picture: size, factor: 64 }))).toBe(200);
    expect(info.sizes).toContainEqual({ width: 1300, height: 700 });
  });

  it('prefers formats that keep alpha, where there is some', () => {
    const wide = { ...limits, maxWidth: 20_000 };
    const preferred = (width: number, alpha: boolean) =>
      iiifInfo(3, '', { picture: { width, height: 60 }, factor: 1 }, wide, { alpha }).preferredFormats;
    expect([preferred(1000, false), preferred(20_000, false)]).toEqual([
      ['webp', 'jpg'],
      ['jpg', 'webp'],
    ]);
    expect([preferred(1000, true), preferred(20_000, true)]).toEqual([
      ['webp', 'png'],
      ['png', 'webp'],
    ]);
  });
});

describe('a virtual canvas', () => {
  it('is the picture enlarged: its regions are fractions of native pixels', () => {
    const { query } = iiif('640,64,512,512', '512,512', 3, { picture: size, factor: 64 });
    expect(Object.values(query.region).map((side) => toNumber(toRational(side)))).toEqual([10, 1, 8, 8]);
  });
});

describe('tiles', () => {
  it('halve their span from zoom to zoom, to 60 and on, without rounding', () => {
    expect(nativeZoom(size)).toBe(3);
    for (const z of [0, 3, 5, 60, 1024]) {
      const x = z === 0 ? 0n : 2n ** BigInt(z - 1) + 1n;
      const { query } = tileRendering(size, { z, x, y: 0n, pixelRatio: 1, format: 'png', method: 'decode' });
      const left = toRational(query.region.x);
      // left = x * 256 * 2^(3-z)
      expect(left.numerator * 2n ** BigInt(z)).toBe(x * 256n * 8n * left.denominator);
    }
  });

  it('are cut where the picture ends and stay on the same grid', () => {
    const rendering = tileRendering(size, {
      z: 3,
      x: 5n,
      y: 2n,
      pixelRatio: 1,
      format: 'png',
      method: 'decode',
    });
    expect(rendering.frame).toEqual({ width: 256, height: 256 });
    expect(rendering.query).toMatchObject({ width: 20, height: 188 });
    expect(toNumber(toRational(rendering.query.region.width))).toBe(20);
  });

  it('outside the picture are a 404, however far', () => {
    for (const [z, x, y] of [
      [0, 1n, 0n],
      [3, 6n, 0n],
      [3, 0n, 3n],
      [60, 2n ** 60n, 0n],
    ] as const)
      expect(
        statusOf(() => tileRendering(size, { z, x, y, pixelRatio: 1, format: 'png', method: 'decode' })),
      ).toBe(404);
  });

  it('compare with plain enlargement only past native', () => {
    const at = (z: number) =>
      statusOf(() =>
        tileRendering(size, { z, x: 0n, y: 0n, pixelRatio: 1, format: 'png', method: 'bicubic' }),
      );
    expect([at(3), at(4)]).toEqual([400, 200]);
  });

  it('compare with plain enlargement before native zoom too, where they have more pixels than the picture', () => {
    const at = (z: number, pixelRatio: PixelRatio) =>
      statusOf(() => tileRendering(size, { z, x: 0n, y: 0n, pixelRatio, format: 'png', method: 'bicubic' }));
    expect([at(3, 2), at(3, 3), at(2, 2), at(2, 3), at(1, 4), at(1, 3)]).toEqual([
      200, 200, 400, 200, 400, 400,
    ]);
  });
});

describe('TileJSON', () => {
  it('has what version 3.0.0 requires and bounds in degrees', () => {
    const json = tileJson(size, { title: 't', version: 'v', url: 'http://h/{z}.png', format: 'png' });
    expect(json).toMatchObject({ tilejson: '3.0.0', tiles: ['http://h/{z}.png'], minzoom: 0, maxzoom: 30 });
    const [west, south, east, north] = json.bounds as [number, number, number, number];
    expect([west, north]).toEqual([-180, expect.closeTo(85.0511, 3)]);
    expect(east).toBeCloseTo((1300 / 2048) * 360 - 180, 9);
    expect(south).toBeGreaterThan(-85.06);
    expect(south).toBeLessThan(north);
  });

  it('has bounds that touch no tile beyond the picture, as maps count them in doubles', () => {
    // MapLibre's own.
    const row = (latitude: number) =>
      (180 - (180 / Math.PI) * Math.log(Math.tan(Math.PI / 4 + (latitude * Math.PI) / 360))) / 360;
    for (const [width, height] of [
      [1300, 700],
      [2200, 1700],
      [300, 1],
      [1, 1],
      [1024, 1024],
    ] as const) {
      const json = tileJson({ width, height }, { title: 't', version: 'v', url: '', format: 'png' });
      const [, south, east, north] = json.bounds as [number, number, number, number];
      const side = 256 * 2 ** nativeZoom({ width, height });
      for (let z = 0; z <= 30; z++) {
        const scale = 2 ** z;
        expect(Math.floor(row(north) * scale)).toBe(0);
        expect(Math.ceil(row(south) * scale)).toBe(Math.ceil((height / side) * scale));
        expect(Math.ceil(((east + 180) / 360) * scale)).toBe(Math.ceil((width / side) * scale));
      }
    }
  });
});

describe('Deep Zoom', () => {
  it('describes the picture', () => {
    expect(dziDescriptor(canvas, 'jpg')).toContain('<Size Width="1300" Height="700"/>');
    expect(dziMaxLevel(size)).toBe(11);
  });

  it('has overlapping tiles cut at the border, and no others', () => {
    const at = (level: number, column: number, row: number) =>
      dziRendering(canvas, { level, column, row, format: 'jpg' }).query;
    expect(at(11, 0, 0)).toMatchObject({ width: 255, height: 255 });
    expect(at(11, 1, 1)).toMatchObject({ width: 256, height: 256 });
    expect(at(11, 5, 2)).toMatchObject({ width: 31, height: 193 });
    expect(at(0, 0, 0)).toMatchObject({ width: 1, height: 1 });
    expect(statusOf(() => at(11, 6, 0))).toBe(404);
    expect(statusOf(() => at(12, 0, 0))).toBe(404);
  });
});
