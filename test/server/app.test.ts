import { once } from 'node:events';
import express from 'express';
import sharp from 'sharp';
import { describe, expect, it } from 'vitest';
import { createApp } from '../../src/server/index.ts';
import {
  ask,
  directoryOf,
  encoded,
  eventually,
  imageOf,
  picture,
  pixelsOf,
  startServer,
  testEngine,
} from './server-fixture.ts';

const liif = await encoded(picture(600, 420));
const png = await imageOf(picture(600, 420)).png().toBuffer();
const directory = await directoryOf({
  'noise.liif': liif,
  'noise.png': png,
  'deep/er/gray & äöü.liif': await encoded(picture(90, 70, 1)),
  'clear.liif': await encoded(picture(300, 200, 4)),
  'clear.tif': await imageOf(picture(300, 200, 4))
    .tiff()
    .toBuffer(),
  'photo.jpg': await imageOf(picture(301, 203)).jpeg().toBuffer(),
  'broken.liif': liif.slice(0, 900),
  'text.png': 'this is no image',
  'cut.jpg': (await imageOf(picture(301, 203)).jpeg().toBuffer()).subarray(0, 100),
  '.hidden.png': png,
});
const server = await startServer({ roots: [directory] });
const info = (await server.get('/api/images/noise')).json();

it('HEAD of more than is decoded at once is refused like GET', async () => {
  const small = await startServer({ roots: [directory], maxWork: 1000 });
  const large = '/iiif/3/noise/full/^4400,3080/0/default.jpg';
  for (const method of ['HEAD', 'GET']) expect((await small.get(large, { method })).status).toBe(413);
  expect((await server.get(large, { method: 'HEAD' })).status).toBe(200);
  expect((await small.get('/noise/0/0/0.png', { method: 'HEAD' })).status).toBe(200);
});

describe('a picture with the name of an address', () => {
  it.each(['api', 'dzi', 'iiif'])('%s has addresses that work', async (name) => {
    const named = await startServer({ roots: [await directoryOf({ [`${name}.liif`]: liif })] });
    const [listed] = (await named.get('/api/images')).json().images;
    const tile = listed.tiles.replace('{z}', 0).replace('{x}', 0).replace('{y}', 0);
    for (const path of [tile, listed.thumbnail, listed.file, `/dzi/${name}.dzi`])
      expect([path, (await named.get(path)).status]).toEqual([path, 200]);
    const { tiles } = (await named.get(`/${tile.split('/')[1]}/tilejson.json`)).json();
    expect(new URL(tiles[0]).pathname).toMatch(new RegExp(`^${tile.slice(0, 5)}`));
  });
});

describe('the list of pictures', () => {
  it('has all that can be read, and says which cannot', async () => {
    const list = (await server.get('/api/images')).json();
    expect(list.version).toBe(1);
    expect(list.images.map(({ id }: { id: string }) => id)).toEqual([
      'clear',
      'clear.tif',
      'deep/er/gray & äöü',
      'noise',
      'noise.png',
      'photo.jpg',
    ]);
    // In the order of the catalog, whichever failed first.
    expect(list.failed.map(({ id, code }: { id: string; code: string }) => [id, code])).toEqual([
      ['broken', 'damaged-file'],
      ['cut.jpg', 'damaged-file'],
      ['text.png', 'damaged-file'],
    ]);
  });

  it('says which plain images are larger than is served, and of what size they may be', async () => {
    const small = await startServer({ roots: [directory], maxPlainPixels: 301 * 203 });
    const list = (await small.get('/api/images')).json();
    expect(list.failed).toContainEqual({ id: 'noise.png', title: 'noise', code: 'unsupported-file' });
    expect(list.images.map(({ id }: { id: string }) => id)).toContain('photo.jpg');
    const answer = await small.get('/noise.png/0/0/0.png');
    expect([answer.status, answer.json().detail]).toEqual([
      501,
      'Plain images served here have at most 61103 pixels.',
    ]);
  });

  it('calls a plain image damaged whose pixels end too early', async () => {
    const half = await startServer({
      roots: [await directoryOf({ 'half.png': png.subarray(0, png.length / 2) })],
    });
    const answer = await half.get('/half.png/0/0/0.png');
    expect([answer.status, answer.json().type]).toEqual([500, 'urn:liif:problem:damaged-file']);
  });

  it('tells size, version, original and where tiles are', () => {
    expect(info).toMatchObject({
      id: 'noise',
      kind: 'liif',
      width: 600,
      height: 420,
      alpha: false,
      bytes: liif.length,
      quality: 70,
      nativeZoom: 2,
      original: 'noise.png',
      version: expect.stringMatching(/^[0-9a-f]{12}$/),
    });
    expect(info.tiles).toBe(`/noise/{z}/{x}/{y}.webp?v=${info.version}`);
  });

  it('has thumbnails and files at the addresses it gives', async () => {
    for (const { thumbnail, file } of (await server.get('/api/images')).json().images) {
      expect((await server.get(thumbnail)).headers['content-type']).toMatch(/^image\//);
      if (file) expect((await server.get(file)).status).toBe(200);
    }
  });
});

describe('tiles', () => {
  it.each(['png', 'jpg', 'jpeg', 'webp', 'avif'])('come as %s', async (format) => {
    const answer = await server.get(`/noise/2/1/0.${format}`);
    expect(answer.status).toBe(200);
    expect(answer.headers['content-type']).toBe(`image/${format === 'jpg' ? 'jpeg' : format}`);
    expect(await pixelsOf(answer.body)).toMatchObject({ width: 256, height: 256 });
  });

  it('come at two and three times the pixels', async () => {
    for (const ratio of [2, 3])
      expect(await pixelsOf((await server.get(`/noise/1/0/0@${ratio}x.png`)).body)).toMatchObject({
        width: 256 * ratio,
      });
  });

  it('are transparent beyond the picture, or white without alpha', async () => {
    const clear = await pixelsOf((await server.get('/noise/2/2/1.png')).body);
    expect(clear.channels).toBe(4);
    // The picture ends 88 pixels into the third column and 164 into the second row.
    const alphaAt = (x: number, y: number) => clear.data[(y * 256 + x) * 4 + 3];
    expect([alphaAt(87, 163), alphaAt(88, 163), alphaAt(87, 164)]).toEqual([255, 0, 0]);
    const white = await pixelsOf((await server.get('/noise/2/2/1.jpg')).body);
    expect([...white.data.slice((200 * 256 + 200) * 3, (200 * 256 + 200) * 3 + 3)]).toEqual([255, 255, 255]);
  });

  it('of plain images are their very pixels', async () => {
    const tile = await pixelsOf((await server.get('/noise.png/2/1/0.png')).body);
    const source = picture(600, 420);
    for (const [x, y] of [
      [0, 0],
      [255, 255],
      [17, 200],
    ] as const) {
      const at = (y * 600 + x + 256) * 3;
      expect([...tile.data.slice((y * 256 + x) * tile.channels, (y * 256 + x) * tile.channels + 3)]).toEqual([
        ...source.data.slice(at, at + 3),
      ]);
    }
  });

  it('are found with slashes of the id encoded or not', async () => {
    const encodedId = encodeURIComponent('deep/er/gray & äöü');
    const one = await server.get(`/${encodedId}/0/0/0.png`);
    const two = await server.get(`/${encodedId.replaceAll('%2F', '/')}/0/0/0.png`);
    expect([one.status, two.status]).toEqual([200, 200]);
    expect(one.body.equals(two.body)).toBe(true);
  });

  it('of comparisons differ from decoded ones and join them in size', async () => {
    const [decoded, plain] = await Promise.all([
      server.get('/noise/5/3/3.png'),
      server.get('/noise/5/3/3.png?method=bicubic'),
    ]);
    expect(plain.status).toBe(200);
    expect(decoded.headers.etag).not.toBe(plain.headers.etag);
    expect(await pixelsOf(plain.body)).toMatchObject({ width: 256, height: 256 });
    const refused = await server.get('/noise/2/0/0.png?method=bicubic');
    expect(refused.status).toBe(400);
    expect(refused.json().detail).toBe('Comparisons begin past native scale, zoom 2 at @1x here.');
    const [fine, finePlain] = await Promise.all([
      server.get('/noise/2/0/0@2x.png'),
      server.get('/noise/2/0/0@2x.png?method=bicubic'),
    ]);
    expect(finePlain.status).toBe(200);
    expect(await pixelsOf(finePlain.body)).toMatchObject({ width: 512, height: 512 });
    expect(finePlain.body.equals(fine.body)).toBe(false);
  });

  it('outside the picture are a 404', async () => {
    expect((await server.get('/noise/2/3/0.png')).status).toBe(404);
    expect((await server.get(`/noise/1000/${2n ** 1000n}/0.png`)).status).toBe(404);
  });
});

describe('HTTP', () => {
  it('answers a known ETag with 304 and without decoding', async () => {
    const first = await server.get('/noise/2/0/1.png');
    const etag = first.headers.etag as string;
    expect(etag).toMatch(/^"[0-9a-f]{32}"$/);
    for (const condition of [etag, `"other", ${etag}`, `W/${etag}`, '*'])
      expect((await server.get('/noise/2/0/1.png', { headers: { 'if-none-match': condition } })).status).toBe(
        304,
      );
    expect((await server.get('/noise/2/0/1.png', { headers: { 'if-none-match': '"other"' } })).status).toBe(
      200,
    );
    // An image that nobody has asked for yet is not made for a 304 either.
    const made = async () =>
      /^liif_stage_duration_seconds_count\{stage="encode"\} (\d+)$/m.exec(
        (await server.get('/metrics')).body.toString(),
      )![1];
    const before = await made();
    const fresh = await server.get('/noise/7/31/31@3x.avif', { headers: { 'if-none-match': '*' } });
    expect([fresh.status, fresh.body.length]).toEqual([304, 0]);
    expect(await made()).toBe(before);
    expect(before).not.toBe('0');
  });

  it('gives the same ETags on every server', async () => {
    const other = await startServer({ roots: [directory] });
    for (const path of [
      '/noise/2/0/1.png',
      '/iiif/3/clear/full/max/0/gray.png',
      '/dzi/noise.png_files/8/0_0.jpg',
    ]) {
      const [one, two] = [await server.get(path), await other.get(path)];
      expect(one.headers.etag).toBe(two.headers.etag);
      expect(one.body.equals(two.body)).toBe(true);
    }
  });

  it('lets versioned addresses be kept for ever, and no others', async () => {
    const kept = await server.get(`/noise/2/0/1.png?v=${info.version}`);
    expect(kept.headers['cache-control']).toBe('public, max-age=31536000, immutable');
    const stale = await server.get('/noise/2/0/1.png?v=0123456789ab');
    expect(stale.headers['cache-control']).toBe('no-cache');
    const plain = await server.get('/noise/2/0/1.png');
    expect(plain.headers['cache-control']).toMatch(/^public, max-age=3600/);
  });

  it('says of which version an answer was made, of refusals too', async () => {
    for (const path of [
      '/noise/2/0/1.png?v=0123456789ab',
      '/noise/2/40/40.png?v=0123456789ab',
      '/iiif/3/noise/full/max/0/gray.png',
      '/dzi/noise_files/8/0_0.jpg',
      '/noise/pixel?x=1&y=1',
      '/noise/file',
    ]) {
      const { headers } = await server.get(path);
      expect(headers['picture-version'], path).toBe(info.version);
      expect(headers['access-control-expose-headers']).toContain('Picture-Version');
    }
  });

  it('answers HEAD like GET without a body', async () => {
    for (const path of [
      '/noise/2/0/1.png',
      '/iiif/3/noise/info.json',
      '/api/images',
      '/noise/file',
      '/nothing/2/0/0.png',
    ]) {
      const [head, get] = [await server.get(path, { method: 'HEAD' }), await server.get(path)];
      expect([head.status, head.body.length]).toEqual([get.status, 0]);
      expect(head.headers.etag).toBe(get.headers.etag);
      expect(head.headers['content-type']).toBe(get.headers['content-type']);
    }
  });

  it('lets pages of all origins read answers, errors and 304 included', async () => {
    const etag = (await server.get('/noise/2/0/1.png')).headers.etag as string;
    for (const answer of [
      await server.get('/noise/2/0/1.png', { headers: { origin: 'https://example.org' } }),
      await server.get('/noise/2/0/1.png', { headers: { 'if-none-match': etag } }),
      await server.get('/nothing/2/0/1.png'),
      await server.get('/iiif/3/noise/info.json'),
    ]) {
      expect(answer.headers['access-control-allow-origin']).toBe('*');
      expect(answer.headers['cross-origin-resource-policy']).toBe('cross-origin');
    }
    const preflight = await server.get('/noise/2/0/1.png', { method: 'OPTIONS' });
    expect(preflight.status).toBe(204);
    expect(preflight.headers['access-control-allow-methods']).toBe('GET, HEAD');
  });

  it('explains errors as problem+json that nobody may keep', async () => {
    const answer = await server.get('/nothing/2/0/1.png');
    expect(answer.status).toBe(404);
    expect(answer.headers['content-type']).toMatch(/^application\/problem\+json/);
    expect(answer.headers['cache-control']).toBe('no-store');
    expect(answer.headers.etag).toBeUndefined();
    expect(answer.json()).toMatchObject({
      type: 'urn:liif:problem:not-found',
      title: 'Not Found',
      status: 404,
      detail: expect.any(String),
      instance: `urn:liif:request:${answer.headers['x-request-id']}`,
    });
  });

  it('lets pages of other origins show its own in frames where the settings name them', async () => {
    const framed = async (...frameAncestors: string[]) => {
      const framing = await startServer({ roots: [directory], frameAncestors });
      const { headers } = await framing.get('/');
      return [
        /frame-ancestors ([^;]*)/.exec(headers['content-security-policy'] as string)?.[1],
        headers['x-frame-options'],
      ];
    };
    expect(await framed()).toEqual(["'self'", 'SAMEORIGIN']);
    expect(await framed('https://cms.example.org', 'https://*.example.com:8443')).toEqual([
      "'self' https://cms.example.org https://*.example.com:8443",
      undefined,
    ]);
    expect(await framed('*')).toEqual(["'self' *", undefined]);
    await expect(framed("https://a.org; script-src 'unsafe-inline'")).rejects.toThrow('frameAncestors');
  });

  it('refuses other methods and says which are allowed', async () => {
    const answer = await server.get('/noise/2/0/1.png', { method: 'DELETE' });
    expect([answer.status, answer.headers.allow]).toEqual([405, 'GET, HEAD, OPTIONS']);
    const options = await server.get('/noise/2/0/1.png', { method: 'OPTIONS' });
    expect(options.headers.allow).toBe('GET, HEAD, OPTIONS');
    // POST is allowed where uploads are.
    expect((await server.get('/api/images', { method: 'POST' })).headers.allow).toBe('GET, HEAD, OPTIONS');
  });

  it('compresses descriptions and never images', async () => {
    const headers = { 'accept-encoding': 'gzip' };
    expect((await server.get('/api/images', { headers })).headers['content-encoding']).toBe('gzip');
    expect((await server.get('/noise/2/0/1.png', { headers })).headers['content-encoding']).toBeUndefined();
    // Other bytes under the same ETag, which is therefore a weak one.
    expect((await server.get('/api/images')).headers.etag).toMatch(/^W\/"[0-9a-f]{32}"$/);
  });

  it('tells how long the stages took', async () => {
    expect((await server.get('/noise/4/1/1.jpg')).headers['server-timing']).toMatch(
      /^queue;dur=[\d.]+, render;dur=[\d.]+, encode;dur=[\d.]+$/,
    );
    expect((await server.get('/noise/4/1/1.jpg')).headers['server-timing']).toMatch(/^memory;dur=/);
  });

  it('gives the file itself, and ranges of it', async () => {
    const whole = await server.get('/noise/file');
    expect(whole.body.equals(Buffer.from(liif))).toBe(true);
    expect(whole.headers['accept-ranges']).toBe('bytes');
    expect(whole.headers['content-type']).toBe('image/x-liif'); // specification 1.1
    const etag = whole.headers.etag as string;
    const part = await server.get('/noise/file', { headers: { range: 'bytes=100-199' } });
    expect([part.status, part.headers['content-range']]).toEqual([206, `bytes 100-199/${liif.length}`]);
    expect(part.body.equals(Buffer.from(liif.slice(100, 200)))).toBe(true);
    const tail = await server.get('/noise/file', { headers: { range: 'bytes=-10', 'if-range': etag } });
    expect(tail.body.equals(Buffer.from(liif.slice(-10)))).toBe(true);
    const changed = await server.get('/noise/file', { headers: { range: 'bytes=0-9', 'if-range': '"old"' } });
    expect([changed.status, changed.body.length]).toEqual([200, liif.length]);
    const beyond = await server.get('/noise/file', { headers: { range: `bytes=${liif.length}-` } });
    expect([beyond.status, beyond.headers['content-range']]).toEqual([416, `bytes */${liif.length}`]);
    expect((await server.get('/noise.png/file')).status).toBe(404);
  });

  it('takes ranges for GET alone, and gives no other file than If-Match names', async () => {
    for (const path of ['/noise/file', '/model/liif-1.safetensors']) {
      const head = await server.get(path, { method: 'HEAD', headers: { range: 'bytes=0-9' } });
      expect([path, head.status, Number(head.headers['content-length']) > 10]).toEqual([path, 200, true]);
    }
    const etag = (await server.get('/noise/file')).headers.etag as string;
    for (const [condition, status] of [
      [etag, 200],
      [`"other", ${etag}`, 200],
      ['*', 200],
      ['"other"', 412],
      [`W/${etag}`, 412],
    ] as const)
      expect((await server.get('/noise/file', { headers: { 'if-match': condition } })).status).toBe(status);
  });

  it('gives single pixels, and points between them', async () => {
    const tile = await pixelsOf((await server.get('/noise/2/0/0.png')).body);
    const at = (20 * 256 + 30) * tile.channels;
    const native = (await server.get('/noise/pixel?x=30&y=20')).json();
    expect(native).toEqual({
      x: '30',
      y: '20',
      rgba: [...tile.data.slice(at, at + 3), 255],
      synthesized: false,
    });
    const between = (await server.get('/noise/pixel?x=30.25&y=20.75')).json();
    expect(between).toMatchObject({ x: '30.25', synthesized: true });
    expect((await server.get('/noise/pixel?x=600&y=0')).status).toBe(404);
    expect((await server.get('/noise/pixel?x=-1&y=0')).status).toBe(404);
  });
});

describe('a point deep inside', () => {
  it('has the color of the tile that shows it', async () => {
    // Pixel 100, 50 of tile 6/9/5: native x = (9 * 256 + 100.5) / 16
    const tile = await pixelsOf((await server.get('/noise/6/9/5.png')).body);
    const at = (50 * 256 + 100) * tile.channels;
    const { rgba } = (
      await server.get(`/noise/pixel?x=${(9 * 256 + 100.5) / 16}&y=${(5 * 256 + 50.5) / 16}`)
    ).json();
    expect(rgba.slice(0, 3)).toEqual([...tile.data.slice(at, at + 3)]);
  });
});

describe('descriptions', () => {
  it('name the host that the client used', async () => {
    const { hostname, port } = new URL(server.url);
    const tiles = (await server.get('/noise/tilejson.json?format=png')).json();
    expect(tiles.tiles).toEqual([`http://${hostname}:${port}/noise/{z}/{x}/{y}.png?v=${info.version}`]);
    const local = await server.get('/iiif/3/noise/info.json', { headers: { host: `localhost:${port}` } });
    expect(local.json().id).toBe(`http://localhost:${port}/iiif/3/noise`);
  });

  it('name the public address where there is one', async () => {
    const other = await startServer({ roots: [directory], publicUrl: 'https://pictures.example.org/all/' });
    expect((await other.get('/iiif/3/noise/info.json')).json().id).toBe(
      'https://pictures.example.org/all/iiif/3/noise',
    );
    expect((await other.get('/health')).headers['strict-transport-security']).toBeDefined();
  });

  it('are all listed in the OpenAPI document', async () => {
    const { paths, openapi } = (await server.get('/openapi.json')).json();
    expect(openapi).toMatch(/^3\.1/);
    const values: Record<string, string> = {
      id: 'noise',
      z: '1',
      x: '0',
      y: '0',
      format: 'jpg',
      region: 'full',
      size: '!100,100',
      rotation: '0',
      quality: 'default',
      level: '3',
      column: '0',
      row: '0',
      file: 'liif-1.safetensors',
    };
    for (const path of Object.keys(paths)) {
      if (path === '/api/jobs/{job}') continue;
      const url = path.replaceAll(/\{(\w+)\}/g, (_, name: string) => values[name]!);
      const asked = url + (url.endsWith('/pixel') ? '?x=1&y=1' : '');
      const { status, headers } = await server.get(asked);
      expect(paths[path].get.responses, url).toHaveProperty(String(status));
      expect([url, status]).toEqual([url, /^\/iiif\/.\/noise$/.test(url) ? 303 : 200]);
      const declared = paths[path].get.responses;
      if (status === 200)
        expect(Object.keys(declared[200].content), url).toContain(headers['content-type']!.split(';')[0]);
      const again = await server.get(asked, { headers: { 'if-none-match': headers.etag ?? '"none"' } });
      expect(declared, url).toHaveProperty(String(again.status));
      const checked = headers.etag !== undefined || headers['last-modified'] !== undefined;
      expect([url, '304' in declared]).toEqual([url, checked]);
    }
  });

  it('are listed with the types of what they give', async () => {
    const { paths } = (await server.get('/openapi.json')).json();
    const typesOf = (path: string) => Object.keys(paths[path].get.responses[200].content).sort();
    const given = async (path: string, endings: readonly string[]) => {
      const answers = await Promise.all(endings.map((ending) => server.get(`${path}.${ending}`)));
      return answers.map(({ headers }) => headers['content-type']).sort();
    };
    const tiles = ['png', 'jpg', 'webp', 'avif'];
    expect(typesOf('/{id}/{z}/{x}/{y}.{format}')).toEqual(await given('/noise/1/0/0', tiles));
    expect(typesOf('/iiif/2/{id}/{region}/{size}/{rotation}/{quality}.{format}')).toEqual(
      await given('/iiif/2/noise/full/99,/0/default', [...tiles, 'tif', 'gif']),
    );
    const ofPicture = Object.keys(paths['/{id}/file'].get.responses);
    // What remotes may come to.
    expect(ofPicture).toEqual(expect.arrayContaining(['403', '404', '502', '504']));
  });
});

describe('IIIF', () => {
  it('redirects the base of a picture to its information', async () => {
    const answer = await server.get('/iiif/3/noise');
    expect(answer.status).toBe(303);
    expect(answer.headers.location).toMatch(/\/iiif\/3\/noise\/info\.json$/);
  });

  it('mirrors before it turns', async () => {
    const source = picture(600, 420);
    for (const [rotation, x, y] of [
      ['!0', 599, 0],
      ['90', 0, 419],
      ['!90', 599, 419],
      ['180', 599, 419],
      ['!180', 0, 419],
      ['270', 599, 0],
      ['!270', 0, 0],
    ] as const) {
      const turned = await pixelsOf(
        (await server.get(`/iiif/3/noise.png/full/max/${rotation}/default.png`)).body,
      );
      const at = (y * 600 + x) * 3;
      expect([rotation, ...turned.data.slice(0, 3)]).toEqual([rotation, ...source.data.slice(at, at + 3)]);
    }
  });

  it('turns by any angle, mirrored too', async () => {
    for (const rotation of ['45', '!22.5']) {
      const answer = await server.get(`/iiif/3/noise.png/full/100,/${rotation}/gray.png`);
      const turned = await pixelsOf(answer.body);
      expect(turned.width).toBeGreaterThan(100);
    }
  });

  it('gives gray and two colors', async () => {
    const gray = await server.get('/iiif/3/noise.png/full/max/0/gray.png');
    expect(await sharp(gray.body).metadata()).toMatchObject({ channels: 1, width: 600 });
    const bitonal = await pixelsOf((await server.get('/iiif/3/noise.png/full/max/0/bitonal.png')).body);
    expect(new Set(bitonal.data)).toEqual(new Set([0, 255]));
  });

  it('zooms a virtual canvas past the pixels of the picture', async () => {
    const canvas = (await server.get('/iiif/3/noise@64x/info.json')).json();
    expect([canvas.width, canvas.height]).toEqual([600 * 64, 420 * 64]);
    const deep = await server.get('/iiif/3/noise@64x/19200,12800,512,512/512,512/0/default.png');
    // The same pixels as a tile eight times the native size, magnified 64 times: region 300,200,8,8.
    const direct = await server.get('/iiif/3/noise/300,200,8,8/^512,512/0/default.png');
    expect(deep.body.equals(direct.body)).toBe(true);
  });

  it('links the canonical form and the profile in one field', async () => {
    const { link } = (await server.get('/iiif/3/noise/pct:0,0,100,100/max/0/color.jpg')).headers;
    expect(link).toMatch(
      /^<http:[^>]+\/iiif\/3\/noise\/full\/max\/0\/default\.jpg>;rel="canonical", <http:\/\/iiif\.io\/api\/image\/3\/level2\.json>;rel="profile"$/,
    );
    for (const rotation of ['0.0000001', '22.5', '359.9999999999', '180']) {
      const turned = await server.get(`/iiif/3/noise/full/10,/${rotation}/default.jpg`);
      expect(turned.headers.link).toContain(`/noise/full/10,7/${rotation}/default.jpg>`);
    }
  });
});

describe('an application of somebody else', () => {
  it('that caches keep names no address which only the client says is the server’s', async () => {
    const link = async (headers: Record<string, string>) =>
      (await server.get('/iiif/3/noise/full/max/0/default.jpg', { headers })).headers.link;
    expect(await link({ host: '6.6.6.6:81' })).toMatch(
      /^<\/iiif\/3\/noise\/full\/max\/0\/default\.jpg>;rel="canonical"/,
    );
    expect(await link({ host: '[2001:db8::1]' })).toMatch(/^<\/iiif/);
    expect(await link({ host: '127.0.0.1' })).toMatch(/^<http:\/\/127\.0\.0\.1\/iiif/);
    expect(await link({ host: 'localhost' })).toMatch(/^<http:\/\/localhost\/iiif/);
  });

  it('mounts the server below a path', async () => {
    const app = await createApp({
      roots: [directory],
      openEngine: async () => testEngine(),
      logLevel: 'silent',
    });
    const outer = express().use('/pictures', app);
    const listening = outer.listen(0, '127.0.0.1');
    await eventually(() => listening.listening);
    const url = `http://127.0.0.1:${(listening.address() as { port: number }).port}`;
    expect((await ask(url, '/pictures/iiif/3/noise/info.json')).json().id).toBe(
      `${url}/pictures/iiif/3/noise`,
    );
    expect((await ask(url, '/pictures/noise/2/0/0.png')).status).toBe(200);
    expect((await ask(url, '/noise/2/0/0.png')).status).toBe(404);
    listening.close();
    await app.close();
  });
});

describe('operation', () => {
  it('is healthy, ready, and measured', async () => {
    expect((await server.get('/health')).json()).toMatchObject({ status: 'ready' });
    expect((await server.get('/ready')).json()).toMatchObject({ status: 'ready', pictures: 9 });
    const metrics = (await server.get('/metrics')).body.toString();
    for (const name of [
      'liif_http_requests_total{route="tile",status="200"}',
      'liif_stage_duration_seconds_bucket',
      'liif_queue_waiting{lane="tile"} 0',
      'liif_queue_waiting{lane="region"} 0',
      'liif_cache_bytes{cache="images"}',
      'process_resident_memory_bytes',
    ])
      expect(metrics).toContain(name);
    expect(metrics).not.toContain('noise');
  });

  it('counts the bytes of every cache in memory, and only bytes', async () => {
    const bytes = async () => {
      const lines = (await server.get('/metrics')).body
        .toString()
        .matchAll(/^liif_cache_bytes\{cache="(\w+)"\} (\d+)$/gm);
      return Object.fromEntries([...lines].map(([, cache, count]) => [cache, Number(count)]));
    };
    await server.get('/noise/5/3/3.png');
    const kept = await bytes();
    expect(Object.keys(kept).sort()).toEqual(['features', 'images', 'latents', 'pixels', 'plain']);
    // What an enlarged tile is made of.
    for (const cache of ['features', 'latents', 'images']) expect(kept[cache], cache).toBeGreaterThan(1000);
  });

  it('lets running requests finish when it stops', async () => {
    const stopping = await startServer({ roots: [directory], stopMs: 30_000 });
    const arrived = once(stopping.server, 'request');
    const running = stopping.get('/noise/3/2/2.png');
    await arrived;
    const stopped = stopping.stop();
    expect((await running).status).toBe(200);
    await stopped;
    await expect(stopping.get('/health')).rejects.toThrow();
  });
});
