import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { memorySource } from '../../../src/reader/memory-source.ts';
import { openReader } from '../../../src/reader/reader.ts';
import { directoryOf, encoded, picture, startServer } from '../server-fixture.ts';

/**
 * A picture, and a file of the same header and index, and so of the same identity, whose chunks are others.
 */
async function twoOfOneIdentity(): Promise<{ sound: Uint8Array; other: Uint8Array }> {
  const sound = await encoded(picture(300, 200));
  const { prefixLength } = await openReader(memorySource(sound));
  const other = sound.slice();
  for (let at = prefixLength; at < other.length; at++) other[at]! ^= 0x55;
  return { sound, other };
}

it('what one file gave is not given for another one of the same header and index', async () => {
  const { sound, other } = await twoOfOneIdentity();
  const roots = [await directoryOf({ 'sound.liif': sound, 'other.liif': other })];
  const server = await startServer({ roots, watch: false });
  for (const tile of ['1/0/0.png', '3/0/0.jpg']) {
    const first = await server.get(`/sound/${tile}`);
    expect(first.status).toBe(200);
    expect((await server.get(`/other/${tile}`)).status).toBe(500);
    // And what the sound one has keeps coming from memory.
    expect((await server.get(`/sound/${tile}`)).headers['server-timing']).toMatch(/^memory/);
  }
  expect((await server.get('/other/pixel?x=5&y=5')).status).toBe(500);
});

it('nor from the disk after a restart, where each picture finds its own images by any server', async () => {
  const { sound, other } = await twoOfOneIdentity();
  const diskCache = await directoryOf();
  const root = await directoryOf({ 'sound.liif': sound, 'other.liif': other });
  const first = await startServer({ roots: [root], watch: false, diskCache });
  const tile = await first.get('/sound/1/0/0.png');
  await first.stop();

  const second = await startServer({ roots: [root], watch: false, diskCache });
  expect((await second.get('/other/1/0/0.png')).status).toBe(500);
  const again = await second.get('/sound/1/0/0.png');
  expect(again.headers['server-timing']).toMatch(/^store;dur=[\d.]+$/);
  expect(again.body.equals(tile.body)).toBe(true);
  await second.stop();

  // Elsewhere the directory has another path: the id is what counts.
  await rm(join(root, 'sound.liif'));
  const moved = await directoryOf({ 'sound.liif': sound });
  const third = await startServer({ roots: [moved], watch: false, diskCache });
  expect((await third.get('/sound/1/0/0.png')).headers['server-timing']).toMatch(/^store;dur=[\d.]+$/);
});
