import { existsSync } from 'node:fs';
import { copyFile, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeEach, describe, expect, it } from 'vitest';
import { keepToSelf } from '../../../src/cli/tune/lock.ts';
import { loadModel } from '../../../src/network/load.ts';
import { finished, runLiif, startLiif } from '../run-liif.ts';
import { expectFailure, useWorkbench, writePicture } from '../workbench.ts';

const bench = useWorkbench();
const SMALL = 'format-spec/vectors/models/small.safetensors';
/** Steps of a fifth of a second; the released model takes seconds here. */
const QUICK = ['--model', SMALL, '--backend', 'wasm', '--batch', '1', '--side', '128'];

describe('liif tune', () => {
  let pictures: string;
  let output: string;
  beforeEach(async () => {
    pictures = bench.folder;
    output = join(bench.folder, 'My Scans.safetensors');
    for (let i = 0; i < 5; i++) await writePicture(join(pictures, `${i}.png`), 150 + i, 140);
  });

  it('makes weights that encode and decode, and compares them on pictures it has not seen', async () => {
    await writePicture(join(pictures, 'small.png'), 100, 140);
    const tuned = await runLiif(['tune', pictures, '-o', output, '--steps', '6', ...QUICK, '--json']);
    expect(tuned.code).toBe(0);
    expect(tuned.stderr).toContain('starting with 4 pieces of 4 pictures');
    expect(tuned.stderr).toContain('fitting tables');
    const record = JSON.parse(tuned.stdout.toString());
    const model = await loadModel(new Uint8Array(await readFile(output)));
    expect(record).toMatchObject({ name: 'my-scans', hash: model.hash, steps: 6, skipped: 0, pictures: 4 });
    expect(record.comparison.points).toHaveLength(5);
    for (const by of ['psnr', 'msSsim'])
      expect(Number.isFinite(record.comparison.bdRate[by].mean)).toBe(true);
    expect(existsSync(`${output}.state`)).toBe(false);

    const [file, shown] = [join(bench.folder, 'a.liif'), join(bench.folder, 'a.png')];
    expect((await runLiif(['encode', bench.photo, '-o', file, '--model', output])).code).toBe(0);
    expect((await runLiif(['decode', file, '-o', shown])).code).toBe(5);
    expect((await runLiif(['decode', file, '-o', shown, '--model', output])).code).toBe(0);
  });

  it('keeps what it has learned when it is interrupted, and goes on from there', async () => {
    const args = ['tune', pictures, '-o', output, '--steps', '14', ...QUICK, '--no-compare'];
    const whole = await runLiif([...args.with(3, join(bench.folder, 'whole.safetensors'))]);
    expect(whole.code).toBe(0);

    const child = startLiif(args);
    const result = finished(child);
    const state = `${output}.state`;
    await new Promise<void>((resolve) => {
      child.stderr!.on('data', (text) => String(text).includes('liif: starting') && resolve());
    });
    // Twice, as npm does.
    for (const ms of [400, 450]) setTimeout(() => child.kill('SIGINT'), ms);
    const { code, stderr } = await result;
    expect([code, stderr]).toEqual([
      130,
      expect.stringMatching(/is kept in .*\.state; go on with .*--resume/),
    ]);
    expect(existsSync(output)).toBe(false);
    expect(existsSync(state)).toBe(true);

    await expectFailure(args, 2, /\.state: is an interrupted run; go on with --resume, or remove it/);
    await expectFailure([...args, '--resume', '--rate', '0.5'], 2, /other options: rate was/);
    const more = join(pictures, 'more.png');
    await copyFile(bench.photo, more);
    await expectFailure([...args, '--resume'], 2, /other pictures: .*more\.png is new/);
    await rm(more);
    const resumed = await runLiif([...args, '--resume']);
    expect([resumed.code, existsSync(state)]).toEqual([0, false]);
    const model = async (path: string) => loadModel(new Uint8Array(await readFile(path)));
    expect((await model(output)).hash).toBe((await model(join(bench.folder, 'whole.safetensors'))).hash);
  });

  it('tells of the weights where there is nothing left to compare them by', async () => {
    const child = startLiif(['tune', pictures, '-o', output, '--steps', '1', ...QUICK, '--json']);
    const result = finished(child);
    await new Promise<void>((resolve) => {
      child.stderr!.on('data', (text) => String(text).includes('liif: starting') && resolve());
    });
    for (let i = 0; i < 5; i++) await rm(join(pictures, `${i}.png`));
    const { code, stdout, stderr } = await result;
    expect(code).toBe(0);
    expect(stderr).toMatch(/warning: .*\d\.png: no such file; not compared/);
    expect(stderr).toContain('warning: the weights are not compared');
    expect(JSON.parse(stdout.toString())).toMatchObject({ output, name: 'my-scans', comparison: null });
  });

  it('makes weights where its state cannot be written meanwhile', async () => {
    const child = startLiif(['tune', pictures, '-o', output, '--steps', '1', ...QUICK, '--no-compare']);
    const result = finished(child);
    await new Promise<void>((resolve) => {
      child.stderr!.on('data', (text) => String(text).includes('liif: starting') && resolve());
    });
    await mkdir(`${output}.state`);
    const { code, stdout, stderr } = await result;
    expect([code, stderr]).toEqual([
      0,
      expect.stringMatching(/\.state: cannot be written.*; the run goes on/),
    ]);
    expect(stdout.toString()).toContain('weights my-scans');
  });

  it('tells of the weights where the comparison is interrupted', async () => {
    const child = startLiif(['tune', pictures, '-o', output, '--steps', '1', ...QUICK]);
    const result = finished(child);
    const timer = setInterval(() => existsSync(output) && child.kill('SIGINT') && clearInterval(timer), 20);
    const { code, stdout, stderr } = await result;
    clearInterval(timer);
    expect([code, stderr]).toEqual([130, expect.stringMatching(/interrupted \(SIGINT\)\n$/)]);
    expect(stdout.toString()).toMatch(/: weights my-scans, .* hash [0-9a-f]{64}\n$/);
  });

  it('refuses an output that another run is at work on', async () => {
    const giveUp = await keepToSelf(output);
    await expectFailure(['tune', pictures, '-o', output, ...QUICK], 6, /another liif tune is at work on it/);
    await giveUp();
  });

  it('says what is wrong before it has trained for an hour', async () => {
    await expectFailure(
      ['tune', pictures, '-o', '/no/such/folder/x.safetensors', ...QUICK],
      6,
      /cannot be written/,
    );
    await expectFailure(['tune', join(bench.folder, 'none'), '-o', output, ...QUICK], 3, /none/);
    await expectFailure(
      ['tune', pictures, '-o', output, '--side', '200'],
      2,
      /multiple of 128 from 128 to 512/,
    );
    await expectFailure(['tune', pictures, '-o', output, '--quality', '60'], 2, /range such as 60-90/);
    await expectFailure(['tune', pictures, '-o', output, '--rate', '0'], 2, /number such as 2e-5/);
    await expectFailure(['tune', pictures, '-o', output, '--resume', ...QUICK], 2, /no interrupted run/);
    await expectFailure(
      ['tune', pictures, '-o', output, '--backend', 'node-gpu'],
      7,
      /npm install @tensorflow/,
    );
    await writeFile(join(bench.folder, 'bad.safetensors'), 'nothing');
    const own = join(bench.folder, 'own.safetensors');
    await copyFile(SMALL, own);
    await expectFailure(
      ['tune', pictures, '-o', own, ...QUICK.with(1, own)],
      2,
      /own\.safetensors: is the input/,
    );
    expect(await readFile(own)).toEqual(await readFile(SMALL));
    const picture = join(pictures, '0.png');
    await expectFailure(['tune', pictures, '-o', picture, ...QUICK], 2, /0\.png' is invalid.*picture/);
    const bad = ['--model', join(bench.folder, 'bad.safetensors'), '--backend', 'wasm'];
    await expectFailure(['tune', pictures, '-o', output, ...bad], 4, /bad\.safetensors/);
  });
});
