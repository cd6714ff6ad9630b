import { readdir, readFile } from 'node:fs/promises';
import { join, relative } from 'node:path';
import sharp from 'sharp';
import { describe, expect, it } from 'vitest';
import { directoryOf, imageOf, picture, startServer } from '../server-fixture.ts';

const SIZES = [
  [1300, 700],
  [513, 255],
  [509, 1017],
  [1, 3],
  [254, 254],
  [1025, 1],
] as const;

const directory = await directoryOf(
  Object.fromEntries(
    await Promise.all(
      SIZES.map(async ([width, height]) => [
        `p${width}x${height}.png`,
        await imageOf(picture(width, height)).png().toBuffer(),
      ]),
    ),
  ),
);
const server = await startServer({ roots: [directory] });

async function filesBelow(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => entry.isFile() && !entry.name.startsWith('vips-'))
    .map((entry) => relative(folder, join(entry.parentPath, entry.name)).replaceAll('\\', '/'));
}

async function sizeOf(bytes: Buffer): Promise<string> {
  const { width, height } = await sharp(bytes).metadata();
  return `${width} x ${height}`;
}

describe.each(SIZES)('of %i x %i pixels', (width, height) => {
  const id = `p${width}x${height}.png`;

  it('Deep Zoom has the tiles that libvips writes, and of their sizes', async () => {
    const out = join(await directoryOf(), 'pyramid');
    await imageOf(picture(width, height))
      .jpeg()
      .tile({ size: 254, overlap: 1, layout: 'dz' })
      .toFile(`${out}.dz`);
    const descriptor = (await server.get(`/dzi/${id}.dzi`)).body.toString();
    const theirs = await readFile(`${out}.dzi`, 'utf8');
    for (const attribute of [/Overlap="\d+"/, /TileSize="\d+"/, /Width="\d+"/, /Height="\d+"/])
      expect(descriptor.match(attribute)?.[0]).toBe(theirs.match(attribute)?.[0]);
    const files = await filesBelow(`${out}_files`);
    expect(files.length).toBeGreaterThan(0);
    const last = new Map<string, [number, number]>();
    for (const file of files) {
      const answer = await server.get(`/dzi/${id}_files/${file}`);
      expect([file, answer.status]).toEqual([file, 200]);
      expect([file, await sizeOf(answer.body)]).toEqual([
        file,
        await sizeOf(await readFile(join(`${out}_files`, file))),
      ]);
      const [, level, column, row] = /^(\d+)\/(\d+)_(\d+)\./.exec(file)!;
      const [columns, rows] = last.get(level!) ?? [0, 0];
      last.set(level!, [Math.max(columns, Number(column)), Math.max(rows, Number(row))]);
    }
    // And none that it does not write.
    for (const [level, [columns, rows]] of last)
      for (const tile of [`${columns + 1}_0`, `0_${rows + 1}`])
        expect((await server.get(`/dzi/${id}_files/${level}/${tile}.jpeg`)).status).toBe(404);
  });

  it('IIIF serves the tiles that libvips writes, at their addresses and of their sizes', async () => {
    const out = join(await directoryOf(), 'pyramid');
    await imageOf(picture(width, height)).jpeg().tile({ size: 512, layout: 'iiif3' }).toFile(`${out}.dz`);
    const theirs = JSON.parse(await readFile(join(out, 'info.json'), 'utf8'));
    const ours = (await server.get(`/iiif/3/${id}/info.json`)).json();
    expect(ours.tiles[0].scaleFactors).toEqual(theirs.tiles[0].scaleFactors);
    expect([ours.tiles[0].width, ours.width, ours.height]).toEqual([512, width, height]);
    for (const file of await filesBelow(out)) {
      if (!file.endsWith('.jpg')) continue;
      const answer = await server.get(`/iiif/3/${id}/${file}`);
      expect([file, answer.status]).toEqual([file, 200]);
      expect([file, await sizeOf(answer.body)]).toEqual([
        file,
        await sizeOf(await readFile(join(out, file))),
      ]);
    }
  });
});
