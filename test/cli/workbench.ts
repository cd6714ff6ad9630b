import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import sharp from 'sharp';
import { afterAll, afterEach, beforeAll, beforeEach, expect } from 'vitest';
import { runLiif } from './run-liif.ts';

/** Folders and files of a test; the fields are there while a test runs. */
export interface Workbench {
  /** A picture of 40 x 24 pixels, and its file at the default quality. */
  photo: string;
  photoFile: string;
  /** An empty folder for each test. */
  folder: string;
}

/** Sets up a workbench for the tests of a file, and clears it away. */
export function useWorkbench(): Workbench {
  const bench: Workbench = { photo: '', photoFile: '', folder: '' };
  let shared: string;
  beforeAll(async () => {
    shared = await mkdtemp(join(tmpdir(), 'liif-cli-shared-'));
    bench.photo = join(shared, 'photo.png');
    bench.photoFile = join(shared, 'photo.liif');
    await writePicture(bench.photo, 40, 24);
    const { code, stderr } = await runLiif([
      'encode',
      bench.photo,
      '-o',
      bench.photoFile,
      '--engine',
      'wasm',
    ]);
    expect([code, stderr]).toEqual([0, '']);
  });
  afterAll(() => rm(shared, { recursive: true, force: true }));
  beforeEach(async () => {
    bench.folder = await mkdtemp(join(tmpdir(), 'liif-cli-'));
  });
  afterEach(() => rm(bench.folder, { recursive: true, force: true }));
  return bench;
}

/** Waves and a little noise. */
export async function writePicture(path: string, width: number, height: number): Promise<void> {
  const data = new Uint8Array(width * height * 3);
  for (let i = 0; i < data.length; i++)
    data[i] = 90 + 60 * Math.sin(i / 90) + (Math.imul(i, 2654435761) >>> 28);
  await sharp(data, { raw: { width, height, channels: 3 } }).toFile(path);
}

/**
 * Expects one line on standard error that fits, and this code. `run`: `runProcess` where how the process ends
 * is in question.
 */
export async function expectFailure(
  args: string[],
  code: number,
  line: RegExp,
  stdin?: Uint8Array,
  run = runLiif,
): Promise<void> {
  const result = await run(args, stdin);
  expect(result.stderr).toMatch(line);
  expect(result.stderr.trimEnd().split('\n')).toHaveLength(1);
  expect(result.stderr).toMatch(/^liif: /);
  expect(result.stderr).not.toMatch(/^\s+at /m);
  expect(result.code).toBe(code);
  expect(result.stdout.length).toBe(0);
}
