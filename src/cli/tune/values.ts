import { basename, extname } from 'node:path';
import { InvalidArgumentError } from 'commander';
import { outputPath, STANDARD } from '../inputs.ts';
import { PICTURE_ENDING } from '../jobs.ts';

/**
 * Parses the output. It has to be a file, because the state of the run lies beside it, and is not to replace
 * a picture.
 */
export function weightsPath(text: string): string {
  if (outputPath(text) === STANDARD) throw new InvalidArgumentError('Expected the path of a file.');
  if (PICTURE_ENDING.test(text))
    throw new InvalidArgumentError('Expected a file of weights, such as my.safetensors; this is a picture.');
  return text;
}

export function modelName(text: string): string {
  if (!/^[a-z0-9.-]{1,64}$/.test(text))
    throw new InvalidArgumentError('Expected at most 64 of a-z, 0-9, dot and hyphen.');
  return text;
}

export function qualityRange(text: string): readonly [number, number] {
  const match = /^(\d{1,3})-(\d{1,3})$/.exec(text);
  const [low, high] = match ? [Number(match[1]), Number(match[2])] : [0, 0];
  if (low < 1 || high > 100 || high - low < 10)
    throw new InvalidArgumentError('Expected a range such as 60-90, within 1-100 and at least 10 wide.');
  return [low, high];
}

export function learningRate(text: string): number {
  const rate = Number(text);
  if (!(rate > 0 && rate <= 1))
    throw new InvalidArgumentError('Expected a number such as 2e-5, above 0 and at most 1.');
  return rate;
}

/** `out/My Scans.safetensors` -> `my-scans`. */
export function nameByPath(path: string): string {
  const name = basename(path, extname(path))
    .toLowerCase()
    .replaceAll(/[^a-z0-9.]+/g, '-')
    .slice(0, 64);
  return /[a-z0-9]/.test(name) ? name : 'tuned';
}
