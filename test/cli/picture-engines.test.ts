import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { PictureEngines } from '../../src/cli/picture-engines.ts';
import { readImage } from '../../src/image/read.ts';
import { parseModel } from '../../src/network/load.ts';
import { memorySource, openEngine } from '../../src/node.ts';
import { tinyModelBytes } from '../fixtures/tiny-model.ts';
import { runLiif } from './run-liif.ts';
import { expectFailure, useWorkbench } from './workbench.ts';

const bench = useWorkbench();
const mine = tinyModelBytes({ seed: 31 });
const theirs = tinyModelBytes({ seed: 32 });
const hashOf = (bytes: Uint8Array) => parseModel(bytes).hash;

/** Models, and pictures encoded with them, of the test that runs. */
interface Files {
  mine: string;
  theirs: string;
  myPicture: string;
  theirPicture: string;
}

async function files(): Promise<Files> {
  const at = (name: string) => join(bench.folder, name);
  const made = {
    mine: at('mine.safetensors'),
    theirs: at('theirs.safetensors'),
    myPicture: at('mine.liif'),
    theirPicture: at('theirs.liif'),
  };
  await writeFile(made.mine, mine);
  await writeFile(made.theirs, theirs);
  await writeFile(made.myPicture, myPicture);
  await writeFile(made.theirPicture, theirPicture);
  return made;
}

let myPicture: Uint8Array;
let theirPicture: Uint8Array;
beforeAll(async () => {
  const { encode } = await import('../../src/node.ts');
  const encodeWith = async (model: Uint8Array) => {
    const engine = await openEngine({ model, engine: 'reference' });
    const bytes = await encode(bench.photo, { engine });
    await engine.close();
    return bytes;
  };
  myPicture = await encodeWith(mine);
  theirPicture = await encodeWith(theirs);
});

describe('liif with --model', () => {
  it('encodes with the weights of a file, which the picture names', async () => {
    const { mine: model } = await files();
    const out = join(bench.folder, 'out.liif');
    const { code, stderr } = await runLiif(['encode', bench.photo, '-o', out, '--model', model]);
    expect([code, stderr]).toEqual([0, '']);
    expect(await readFile(out)).toEqual(Buffer.from(myPicture));
    const info = await runLiif(['info', out, '--json']);
    expect(JSON.parse(info.stdout.toString()).model).toBe(hashOf(mine));
  });

  it('decodes with the model that the picture names, of those that it is given and the released one', async () => {
    const { mine: a, theirs: b, myPicture: picture } = await files();
    const out = join(bench.folder, 'out.png');
    const decode = async (file: string) => {
      const { code, stderr } = await runLiif(['decode', file, '-o', out, '--model', a, '--model', b]);
      expect([code, stderr]).toEqual([0, '']);
      return (await readImage(out)).raster.data;
    };
    const { decode: decodeWith } = await import('../../src/node.ts');
    const engine = await openEngine({ model: mine, engine: 'reference' });
    expect(await decode(picture)).toEqual((await decodeWith(myPicture, { engine })).data);
    await engine.close();
    expect(await decode(bench.photoFile)).toEqual((await decodeWith(bench.photoFile)).data);
  });

  it('verifies and compares pictures of several models', async () => {
    const { mine: a, theirs: b, myPicture: first, theirPicture: second } = await files();
    const models = ['--model', a, '--model', b];
    const verified = await runLiif(['verify', first, bench.photoFile, second, '--json', ...models]);
    expect([verified.code, verified.stderr]).toEqual([0, '']);
    const lines = verified.stdout.toString().trim().split('\n');
    expect(lines.map((line) => JSON.parse(line).decoded)).toEqual([true, true, true]);
    const compared = await runLiif(['compare', first, second, '--json', ...models]);
    expect([compared.code, compared.stderr]).toEqual([0, '']);
    expect(JSON.parse(compared.stdout.toString()).identical).toBe(false);
  });

  it('says by its hash which model is not known, and what to do', async () => {
    const { theirs: b, myPicture: picture } = await files();
    const out = join(bench.folder, 'out.png');
    const line = new RegExp(`mine\\.liif: the file needs model ${hashOf(mine)}.*--model FILE`);
    await expectFailure(['decode', picture, '-o', out], 5, line);
    await expectFailure(['decode', picture, '-o', out, '--model', b], 5, line);
    await expectFailure(['compare', picture, bench.photo], 5, line);
    await expectFailure(
      ['verify', picture],
      5,
      /--model FILE\. The checksums are right; --quick checks no more\n$/,
    );
    const quick = await runLiif(['verify', picture, '--quick']);
    expect(quick.code).toBe(0);
  });

  it.each([
    ['encode', (bad: string) => ['encode', bench.photo, '-o', join(bench.folder, 'x.liif'), '--model', bad]],
    [
      'decode',
      (bad: string) => ['decode', bench.photoFile, '-o', join(bench.folder, 'x.png'), '--model', bad],
    ],
    ['verify', (bad: string) => ['verify', bench.photoFile, '--model', bad]],
    ['compare', (bad: string) => ['compare', bench.photo, bench.photoFile, '--model', bad]],
    ['engines', (bad: string) => ['engines', '--model', bad]],
    ['bench', (bad: string) => ['bench', '--model', bad]],
  ])('%s names a model file that is damaged, and one that is not there', async (_, args) => {
    const bad = join(bench.folder, 'bad.safetensors');
    await writeFile(bad, mine.subarray(0, mine.length - 2));
    await expectFailure(args(bad), 4, /^liif: \S*bad\.safetensors: model at byte \d+: /);
    await expectFailure(args(join(bench.folder, 'no.safetensors')), 3, /no\.safetensors: no such file/);
  });
});

it('opens an engine anew for the next picture where that failed for the last', async () => {
  const { mine: model, myPicture: picture } = await files();
  const options = { engine: 'reference' as const, model: [model], threads: 1000 };
  const engines = await PictureEngines.of(options);
  const source = async () => memorySource(await readFile(picture));
  await expect(engines.open(await source())).rejects.toThrow('threads');
  options.threads = 1;
  const image = await engines.open(await source());
  expect(image.header.width).toBeGreaterThan(0);
  await image.close();
  await engines.close();
});
