import { describe, expect, it } from 'vitest';
import { parseRequest } from '../../../../src/server/http/request/request.ts';
import { Problem } from '../../../../src/server/problem.ts';

function statusOf(url: string): number | string {
  try {
    return parseRequest(url).kind;
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    return error.status;
  }
}

import { dziRendering } from '../../../../src/server/protocols/dzi.ts';

describe('a tile address', () => {
  it('gives zoom, column, row, pixel ratio and format', () => {
    expect(parseRequest('/a%2Fb/3/5/2@2x.webp?v=abc')).toEqual({
      kind: 'tile',
      id: { name: 'a/b' },
      z: 3,
      x: 5n,
      y: 2n,
      pixelRatio: 2,
      format: 'webp',
      method: 'decode',
      version: 'abc',
    });
  });

  it('means the same with slashes of the id decoded by a proxy', () => {
    expect(parseRequest('/a/b/3/5/2.png')).toEqual(parseRequest('/a%2Fb/3/5/2.png'));
  });

  it('keeps every digit of columns and rows far beyond 2^53', () => {
    const digits = `1${'0'.repeat(299)}7`;
    expect(parseRequest(`/a/1000/${digits}/${digits}.png`)).toMatchObject({
      z: 1000,
      x: 10n ** 300n + 7n,
      y: 10n ** 300n + 7n,
    });
  });

  it.each([
    '/a/1025/0/0.png',
    '/a/99999999999999999999/0/0.png',
    '/a/-1/0/0.png',
    '/a/1e3/0/0.png',
    '/a/1.5/0/0.png',
    '/a/0/00/0.png',
    '/a/0/0/0@5x.png',
    '/a/0/0/0.bmp',
    '/a/0/0/0.png?method=magic',
    `/a/0/${'9'.repeat(311)}/0.png`,
    '/a/0/0/-1.png',
    '/a/0/0/0',
  ])('%s is a 400', (url) => {
    expect(statusOf(url)).toBe(400);
  });

  it.each(['/a/b/c', '/a', '/', '/a/x/y/z.png'])('%s is a 404', (url) => {
    expect(statusOf(url)).toBe(404);
  });
});

describe('an id', () => {
  it('may be enlarged to a virtual canvas', () => {
    expect(parseRequest('/iiif/3/a%4064x/info.json')).toMatchObject({
      id: { name: 'a@64x', canvas: { name: 'a', factor: 64 } },
    });
  });

  it.each([
    '..%2f..%2fetc%2fpasswd',
    '%2e%2e%2fsecret',
    '../secret',
    '..',
    '.git%2fconfig',
    'a%2F..%2Fb',
    'a%00b',
    'a%5c..%5cb',
    'a\\b',
    'a%0d%0aSet-Cookie:x',
    '%E0%A4%A',
    '%ff',
    'a%2F%2Fb',
    '%2Fetc%2Fpasswd',
    'x'.repeat(256),
    'x/'.repeat(600).concat('x'),
  ])('%s is a 400 on every route', (id) => {
    for (const url of [
      `/${id}/0/0/0.png`,
      `/${id}/file`,
      `/${id}/tilejson.json`,
      `/iiif/3/${id}/info.json`,
      `/iiif/2/${id}/full/max/0/default.jpg`,
      `/dzi/${id}.dzi`,
      `/dzi/${id}_files/0/0_0.jpg`,
      `/api/images/${id}`,
    ])
      expect([url, statusOf(url)]).toEqual([url, 400]);
  });

  it('is decoded once only', () => {
    expect(parseRequest('/%252e%252e%252fa/file')).toMatchObject({ id: { name: '%2e%2e%2fa' } });
  });

  it('may be any name of an object', () => {
    for (const name of ['__proto__', 'constructor', 'toString'])
      expect(parseRequest(`/${name}/file`)).toMatchObject({ id: { name } });
  });

  it('may be as long as any of the catalog, in letters that take nine characters each, with a factor', () => {
    const name = `${'图'.repeat(120)}/`.repeat(8) + '图'.repeat(56);
    expect(name.length).toBe(1024);
    const path = encodeURIComponent(name);
    expect(parseRequest(`/iiif/3/${path}%401048576x/full/max/0/default.png`)).toMatchObject({
      id: { name: `${name}@1048576x`, canvas: { name, factor: 1048576 } },
    });
    expect(parseRequest(`/${path}/1024/${'1'.repeat(310)}/${'1'.repeat(310)}@2x.webp?v=0`)).toMatchObject({
      id: { name },
    });
    expect(statusOf(`/${path}${'a'.repeat(10)}/file`)).toBe(400);
  });

  it('makes addresses that are too long a 414', () => {
    expect(statusOf(`/${'a'.repeat(13_000)}/file`)).toBe(414);
  });
});

describe('an IIIF request', () => {
  it.each([
    ['info.json', 'iiif-info'],
    ['manifest.json', 'iiif-manifest'],
  ])('is one for a picture of any name, %s too', (name, kind) => {
    for (const path of [name, name.replace('.', '%2E'), `${name}/`])
      expect(parseRequest(`/iiif/3/${path}`)).toMatchObject({ kind: 'iiif-base', id: { name } });
    expect(parseRequest(`/iiif/3/${name}/${name}`)).toMatchObject({ kind, id: { name } });
  });

  it('is one for a manifest in version 3 alone, with the id as it was written', () => {
    expect(parseRequest('/iiif/3/a/b%2fc/manifest.json')).toEqual({
      kind: 'iiif-manifest',
      id: { name: 'a/b/c' },
      path: 'a/b%2fc',
    });
    expect(parseRequest('/iiif/2/a/manifest.json')).toMatchObject({ kind: 'iiif-base' });
  });

  it('gives region, size, rotation, quality and format', () => {
    expect(parseRequest('/iiif/3/a/pct:12.5,0,50,.5/^!300,200/!90.5/gray.png')).toMatchObject({
      kind: 'iiif-image',
      iiif: 3,
      path: 'a',
      region: {
        kind: 'percent',
        x: { numerator: 125n, denominator: 10n },
        height: { numerator: 5n, denominator: 10n },
      },
      size: { kind: 'pixels', width: 300, height: 200, fit: true, upscale: true },
      mirror: true,
      rotation: 90.5,
      quality: 'gray',
      format: 'png',
    });
  });

  it('of version 2 may enlarge without a mark and say full', () => {
    expect(parseRequest('/iiif/2/a/full/full/0/default.jpg')).toMatchObject({ size: { kind: 'max' } });
    expect(parseRequest('/iiif/2/a/full/900,/0/default.jpg')).toMatchObject({ size: { upscale: true } });
  });

  it.each([
    'full/full/0/default.jpg',
    'NaN,0,1,1/max/0/default.jpg',
    '1e308,0,1,1/max/0/default.jpg',
    '0,0,0,1/max/0/default.jpg',
    '-1,0,5,5/max/0/default.jpg',
    '0,0,99999999999999999999,1/max/0/default.jpg',
    'pct:1e9,0,1,1/max/0/default.jpg',
    'pct:NaN,0,1,1/max/0/default.jpg',
    'full/0,0/0/default.jpg',
    'full/,/0/default.jpg',
    'full/!5,/0/default.jpg',
    'full/pct:0/0/default.jpg',
    'full/pct:-5/0/default.jpg',
    'full/Infinity,/0/default.jpg',
    'full/max/361/default.jpg',
    'full/max/-90/default.jpg',
    'full/max/1e1/default.jpg',
    'full/max/!/default.jpg',
    'full/max/0/native.jpg',
    'full/max/0/default.bmp',
    'full/max/0/default',
    'full/max/0/__proto__.jpg',
    'full/max/0/default.constructor',
    'full/max/0/%ff.jpg',
  ])('%s is a 400', (rest) => {
    expect(statusOf(`/iiif/3/a/${rest}`)).toBe(400);
  });

  it('of another version is a 404', () => {
    expect(statusOf('/iiif/1/a/info.json')).toBe(404);
    expect(statusOf('/iiif/4/a/info.json')).toBe(404);
  });
});

describe('a Deep Zoom request', () => {
  it('gives level, column and row', () => {
    expect(parseRequest('/dzi/a%2Fb_files/11/3_4.jpeg')).toMatchObject({
      kind: 'dzi-tile',
      id: { name: 'a/b' },
      level: 11,
      column: 3,
      row: 4,
      format: 'jpg',
    });
  });

  it('reaches the last column of the largest virtual canvas, 2^44 pixels wide', () => {
    const column = Math.ceil(2 ** 44 / 254) - 1;
    expect(parseRequest(`/dzi/a@1048576x_files/44/${column}_0.jpg`)).toMatchObject({ column });
    const canvas = { picture: { width: 2 ** 24, height: 1 }, factor: 2 ** 20 };
    const { region, width } = dziRendering(canvas, { level: 44, column, row: 0, format: 'jpg' }).query;
    expect(column * 254 - 1 + width).toBe(2 ** 44);
    expect(region.x).toEqual({ numerator: BigInt(column) * 254n - 1n, denominator: 2n ** 20n });
  });

  it.each([
    '/dzi/a_files/1e3/0_0.jpg',
    '/dzi/a_files/0/-1_0.jpg',
    '/dzi/a_files/9999/0_0.jpg',
    '/dzi/a_files/0/999999999999_0.jpg',
  ])('%s is a 400', (url) => {
    expect(statusOf(url)).toBe(400);
  });
});

describe('a point', () => {
  it('has any number of digits', () => {
    expect(parseRequest('/a/pixel?x=12.5&y=0.125')).toMatchObject({
      x: { numerator: 125n, denominator: 10n },
      y: { numerator: 125n, denominator: 1000n },
    });
  });

  it.each(['x=1', 'x=NaN&y=1', 'x=1e308&y=1', 'x=&y=', `x=${'1'.repeat(311)}&y=0`, 'x=0x10&y=0'])(
    '%s is a 400',
    (query) => {
      expect(statusOf(`/a/pixel?${query}`)).toBe(400);
    },
  );
});

it('never throws anything but a problem, whatever it is given', () => {
  // xorshift, so that a failure can be repeated
  let state = 0x2545f491;
  const random = (bound: number) => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) % bound;
  };
  const parts = [
    'iiif',
    '3',
    '2',
    'dzi',
    'api',
    'images',
    'full',
    'max',
    '^',
    'pct:',
    '%',
    '%2',
    '%00',
    '@2x',
    '..',
    '_files',
    '.dzi',
    'default',
    '!',
    ',',
    '\\',
    '[',
    '<',
    '"',
    '\u00e9',
    '1',
    '9'.repeat(400),
    '-',
    '.',
    'jpg',
    '?',
    'v=',
    '&',
    '#',
    'info.json',
  ];
  for (let i = 0; i < 20_000; i++) {
    const url = `/${Array.from({ length: random(9) }, () => parts[random(parts.length)]! + (random(3) ? '/' : '')).join('')}`;
    expect(['string', 'number']).toContain(typeof statusOf(url));
  }
});
