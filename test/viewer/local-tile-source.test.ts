import { expect, it } from 'vitest';
import { type DecodedPicture, DecodeError } from '../../viewer/decoder/local-decoder.ts';
import { LocalTileSource } from '../../viewer/decoder/local-tile-source.ts';
import { OverviewFirst } from '../../viewer/tiles/overview-first.ts';
import { TileError } from '../../viewer/tiles/tile-source.ts';

/** A picture that makes two tiles at a time, each when it is told to; `begun`: their columns. */
function toldPicture() {
  const begun: bigint[] = [];
  const ends: { give(): void; fail(error: unknown): void }[] = [];
  const picture = {
    facts: { width: 900, height: 700, nativeZoom: 2, alpha: true, colorSpace: 'display-p3' },
    parallel: 2,
    tile(_z: number, x: bigint) {
      begun.push(x);
      return new Promise((resolve, reject) => ends.push({ give: () => resolve(x), fail: reject }));
    },
  } as unknown as DecodedPicture;
  return { picture, begun, ends };
}

const never = new AbortController().signal;
const turn = () => new Promise(setImmediate);

it('has as many tiles made at once as the decoder works on, then the one that is nearest by now', async () => {
  const { picture, begun, ends } = toldPicture();
  const source = new LocalTileSource(picture);
  expect(source).toMatchObject({ width: 900, height: 700, nativeZoom: 2, alpha: true });
  expect(source.colorSpace).toBe('display-p3');
  const distances = [0, 0, 1, 3, 2];
  const tiles = distances.map((_, i) => source.tile(2, BigInt(i), 0n, 256, never, () => distances[i]!));
  await turn();
  expect(begun).toEqual([0n, 1n]);
  [distances[2], distances[3]] = [3, 1];
  ends[1]!.give();
  await turn();
  expect(begun).toEqual([0n, 1n, 3n]);
  ends[0]!.fail(new Error('no'));
  await expect(tiles[0]).rejects.toThrow('no');
  await turn();
  expect(begun).toEqual([0n, 1n, 3n, 4n]);
  for (const end of ends) end.give();
  await turn();
  ends.at(-1)!.give();
  expect(await Promise.all(tiles.slice(1))).toEqual([1n, 2n, 3n, 4n]);
});

it('makes no tile that nobody wants any more when its turn comes', async () => {
  const { picture, begun, ends } = toldPicture();
  const source = new LocalTileSource(picture);
  const tiles = [0n, 1n].map((x) => source.tile(2, x, 0n, 256, never));
  const gone = new AbortController();
  const dropped = [8n, 9n].map((x) => source.tile(2, x, 0n, 256, gone.signal));
  const last = source.tile(2, 3n, 0n, 256, never);
  await turn();
  gone.abort(new Error('gone'));
  for (const tile of dropped) await expect(tile).rejects.toThrow('gone');
  await expect(source.tile(2, 4n, 0n, 256, gone.signal)).rejects.toThrow('gone');
  for (const end of ends) end.give();
  await Promise.all(tiles);
  await turn();
  expect(begun).toEqual([0n, 1n, 3n]);
  ends[2]!.give();
  expect(await last).toBe(3n);
});

it('says whether asking again is of use', async () => {
  const { picture, ends } = toldPicture();
  const source = new LocalTileSource(picture);
  const failing = async (error: unknown): Promise<TileError> => {
    const tile = source.tile(2, 0n, 0n, 256, never).catch((reason) => reason);
    await turn();
    ends.at(-1)!.fail(error);
    return tile as unknown as Promise<TileError>;
  };
  for (const [error, permanent] of [
    [new DecodeError('damaged', 'FormatError'), true],
    [new DecodeError('of tomorrow', 'UnsupportedError'), true],
    [new TypeError('a defect'), true],
    [new DecodeError('no memory', 'EngineError'), false],
    [new DecodeError('404', 'SourceError'), false],
  ] as const) {
    const tile = await failing(error);
    expect(tile).toBeInstanceOf(TileError);
    expect(tile).toMatchObject({ message: error.message, permanent, cause: error });
  }
  const away = new DecodeError('https://host/a.liif: Failed to fetch', 'SourceError');
  expect(await failing(away)).toMatchObject({ message: 'The server cannot be reached.', permanent: false });
  const replaced = new TileError('another', { replaced: true });
  expect(await failing(replaced)).toBe(replaced);
  const gone = new AbortController();
  const aborted = source.tile(2, 0n, 0n, 256, gone.signal);
  await turn();
  gone.abort('enough');
  ends.at(-1)!.fail(away);
  await expect(aborted).rejects.toBe('enough');
});

it('has tiles smaller than native wait for the overview, and no others', async () => {
  const { picture, begun } = toldPicture();
  const overview = new OverviewFirst();
  const source = new LocalTileSource(picture, overview);
  let show = () => {};
  void overview.expect(
    new Promise<void>((resolve) => {
      show = resolve;
    }),
  );
  void source.tile(1, 1n, 0n, 256, never);
  void source.tile(2, 2n, 0n, 256, never);
  await turn();
  expect(begun).toEqual([2n]);
  show();
  await turn();
  expect(begun).toEqual([2n, 1n]);
});
