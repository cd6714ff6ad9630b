import sharp from 'sharp';
import { describe, expect, it } from 'vitest';
import { directoryOf, encoded, imageOf, picture, startServer } from '../server-fixture.ts';

// What the public validator of the IIIF Image API asks of level 2, version 3.0 and 2.0, stated again: 1000 x
// 1000 pixels of 10 x 10 flat squares.

let state = 7;
const random = (low: number, high: number) => {
  state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
  return low + ((state >>> 8) % (high - low + 1));
};
const COLORS = Array.from({ length: 100 }, () => [random(0, 255), random(0, 255), random(0, 255)] as const);
const colorOf = (column: number, row: number) => COLORS[column * 10 + row]!;

const squares = new Uint8Array(1000 * 1000 * 3);
for (let y = 0, i = 0; y < 1000; y++)
  for (let x = 0; x < 1000; x++, i += 3) squares.set(colorOf(Math.floor(x / 100), Math.floor(y / 100)), i);

const png = await imageOf({ width: 1000, height: 1000, channels: 3, data: squares }).png().toBuffer();
const server = await startServer({
  roots: [await directoryOf({ 'a-b-c.png': png, 'noise.liif': await encoded(picture(100, 100)) })],
});

/** The most common color, where it counts. */
async function colorAt(body: Buffer, left: number, top: number, width: number, height: number) {
  const { data, info } = await sharp(body)
    .removeAlpha()
    .extract({ left, top, width, height })
    .raw()
    .toBuffer({ resolveWithObject: true });
  const counts = new Map<string, number>();
  for (let i = 0; i < data.length; i += info.channels) {
    const color = [...data.subarray(i, i + 3)].join();
    counts.set(color, (counts.get(color) ?? 0) + 1);
  }
  return [...counts]
    .reduce((a, b) => (b[1] > a[1] ? b : a))[0]
    .split(',')
    .map(Number);
}

function near(found: number[], wanted: readonly number[]): boolean {
  return found.every((value, i) => Math.abs(value - wanted[i]!) < 6);
}

describe.each([
  ['3', 'max'],
  ['2', 'full'],
])('IIIF %s, level 2', (version, whole) => {
  const image = (rest: string) => server.get(`/iiif/${version}/a-b-c.png/${rest}`);

  it('finds ids with escaped characters, and no others', async () => {
    expect((await server.get(`/iiif/${version}/a%2Db%2Dc.png/full/${whole}/0/default.jpg`)).status).toBe(200);
    expect((await server.get(`/iiif/${version}/a/b/full/${whole}/0/default.jpg`)).status).toBe(404);
    expect([400, 404]).toContain(
      (await server.get(`/iiif/${version}/[frob]/full/${whole}/0/default.jpg`)).status,
    );
  });

  it('answers everything else with 400 or 404', async () => {
    for (let i = 0; i < 30; i++) {
      const text = Array.from({ length: 6 }, () => String.fromCharCode(random(48, 122)))
        .join('')
        .replaceAll(/[?#/]/g, '$');
      for (const rest of [
        `${text}/${whole}/0/default.jpg`,
        `full/${text}/0/default.jpg`,
        `full/${whole}/${text}/default.jpg`,
        `full/${whole}/0/${text}.jpg`,
        `full/${whole}/0/default.${text.slice(3)}`,
      ])
        expect([rest, (await image(rest)).status]).toEqual([rest, 400]);
      expect([400, 404]).toContain(
        (await server.get(`/iiif/${version}/${text}/full/${whole}/0/default.jpg`)).status,
      );
    }
  });

  it('tells what it can do as JSON-LD, under its own address, to pages of any origin', async () => {
    const answer = await server.get(`/iiif/${version}/a-b-c.png/info.json`, {
      headers: { accept: 'application/ld+json', origin: 'http://iiif.io/' },
    });
    expect(answer.headers['content-type']).toMatch(/^application\/ld\+json/);
    expect(answer.headers['access-control-allow-origin']).toBe('*');
    const info = answer.json();
    expect(info[version === '3' ? 'id' : '@id']).toBe(
      `${server.localUrl.replace(/\/$/, '')}/iiif/${version}/a-b-c.png`,
    );
    expect(Object.keys(info)[0]).toBe('@context');
    expect(info).toMatchObject({ protocol: 'http://iiif.io/api/image', width: 1000, height: 1000 });
    expect(version === '3' ? info.profile : info.profile[0]).toMatch(/level2/);
    if (version === '3') expect(info.type).toBe('ImageService3');
  });

  it('links the context of what it tells as plain JSON, and of nothing else', async () => {
    const linked = async (accept: string) => {
      const { headers } = await server.get(`/iiif/${version}/a-b-c.png/info.json`, { headers: { accept } });
      return [headers['content-type'], headers.link];
    };
    const context = `<http://iiif.io/api/image/${version}/context.json>;rel="http://www.w3.org/ns/json-ld#context";type="application/ld+json"`;
    expect(await linked('application/json')).toEqual(['application/json; charset=utf-8', context]);
    expect((await linked('application/ld+json'))[1]).toBeUndefined();
  });

  it.each([
    ['jpg', 'jpeg'],
    ['png', 'png'],
  ])('gives %s', async (format, type) => {
    const { body } = await image(`full/${whole}/0/default.${format}`);
    expect((await sharp(body).metadata()).format).toBe(type);
  });

  it('shows every square in its place', async () => {
    const { body } = await image(`full/${whole}/0/default.jpg`);
    for (let i = 0; i < 100; i++) {
      const [column, row] = [Math.floor(i / 10), i % 10];
      const found = await colorAt(body, column * 100 + 13, row * 100 + 13, 74, 74);
      expect([column, row, near(found, colorOf(column, row))]).toEqual([column, row, true]);
    }
  });

  it('cuts regions in pixels and percent', async () => {
    for (let i = 0; i < 5; i++) {
      const [column, row] = [random(0, 9), random(0, 9)];
      for (const region of [
        `${column * 100 + 13},${row * 100 + 13},74,74`,
        `pct:${column * 10 + 1},${row * 10 + 1},9,9`,
      ]) {
        const { body } = await image(`${region}/${whole}/0/default.jpg`);
        const { width, height } = await sharp(body).metadata();
        expect(near(await colorAt(body, 0, 0, width, height), colorOf(column, row))).toBe(true);
      }
    }
    const square = await image(`square/${whole}/0/default.jpg`);
    expect(await sharp(square.body).metadata()).toMatchObject({ width: 1000, height: 1000 });
  });

  it('scales to a width, a height, both, a box and percent', async () => {
    for (const size of ['500,', ',500', '500,500', '!500,700', 'pct:50']) {
      const { body } = await image(`full/${size}/0/default.jpg`);
      expect(await sharp(body).metadata()).toMatchObject({ width: 500, height: 500 });
      for (let i = 0; i < 5; i++) {
        const [column, row] = [random(0, 9), random(0, 9)];
        expect(near(await colorAt(body, column * 50 + 7, row * 50 + 7, 36, 36), colorOf(column, row))).toBe(
          true,
        );
      }
    }
    const part = await image('300,400,100,100/70,70/0/default.jpg');
    expect(near(await colorAt(part.body, 0, 0, 70, 70), colorOf(3, 4))).toBe(true);
  });

  it('turns by right angles', async () => {
    for (const [angle, column, row] of [
      [90, 0, 9],
      [180, 9, 9],
      [270, 9, 0],
    ] as const) {
      const { body } = await image(`full/${whole}/${angle}/default.jpg`);
      expect(near(await colorAt(body, 13, 13, 74, 74), colorOf(column, row))).toBe(true);
    }
  });

  it('gives color, gray and bitonal', async () => {
    const color = await image(`full/${whole}/0/color.jpg`);
    expect((await sharp(color.body).metadata()).channels).toBe(3);
    const gray = await image(`full/${whole}/0/gray.jpg`);
    expect((await sharp(gray.body).metadata()).channels).toBe(1);
    const bitonal = await sharp((await image(`full/${whole}/0/bitonal.jpg`)).body)
      .raw()
      .toBuffer();
    const extreme = bitonal.reduce((count, value) => count + (value < 5 || value > 250 ? 1 : 0), 0);
    expect(extreme / bitonal.length).toBeGreaterThan(0.65);
  });
});

describe('IIIF 3', () => {
  it.each(['1500,1500', ',1500', '1500,', 'pct:200', '!2000,3000', 'full'])(
    'refuses the size %s without its mark',
    async (size) => {
      expect((await server.get(`/iiif/3/a-b-c.png/full/${size}/0/default.jpg`)).status).toBe(400);
    },
  );

  it('enlarges with it', async () => {
    for (const [size, side] of [
      ['^1500,1500', 1500],
      ['^,1500', 1500],
      ['^pct:200', 2000],
      ['^!2000,500', 500],
      ['^!2000,3000', 2000],
    ] as const) {
      const { body } = await server.get(`/iiif/3/a-b-c.png/full/${size}/0/default.jpg`);
      expect(await sharp(body).metadata()).toMatchObject({ width: side, height: side });
    }
  });
});
