import { basename, extname } from 'node:path';
import { Command, InvalidArgumentError, Option } from 'commander';
import { TENSORFLOW_BACKENDS, type TensorFlowBackend } from '../../engine/tensorflow/backend.ts';
import { isLiifError, RequestError } from '../../errors.ts';
import { writeAtomically } from '../../image/atomic-file.ts';
import { expectOther } from '../../image/same-file.ts';
import { readModelFile } from '../../model/model-file.ts';
import { RELEASED_MODEL } from '../../model/released-model.ts';
import type { ModelComparison } from '../../train/compare-models.ts';
import { convExponents } from '../../train/network/exponents.ts';
import { cutPieces } from '../../train/pictures/corpus.ts';
import { seededRandom } from '../../train/random.ts';
import type { RunState } from '../../train/run-state.ts';
import { openTrainingBackend, type TrainingBackend } from '../../train/tensorflow.ts';
import {
  DEFAULT_SETTINGS,
  type TunedModel,
  type TuneSettings,
  type TuneState,
  type TuneStep,
  tune,
} from '../../train/tune.ts';
import type { BaseModel } from '../../train/tuned-model.ts';
import { type ModelOption, modelOption } from '../engine.ts';
import { outputPath, STANDARD } from '../inputs.ts';
import { interruption, waitAtMost } from '../interruption.ts';
import { PICTURE_ENDING } from '../jobs.ts';
import { naming } from '../several.ts';
import {
  addOutputOptions,
  bytesText,
  countText,
  type OutputOptions,
  type Shown,
  Terminal,
  valueText,
} from '../terminal.ts';
import { compareOn, comparisonText, isBetter } from '../tune/comparison.ts';
import { keepToSelf } from '../tune/lock.ts';
import { chosenPictures, namedPictures, skipTeller } from '../tune/pictures.ts';
import { placesOf, StateKeeper, stateOf } from '../tune/state.ts';
import { decimal, wholeNumber } from '../values.ts';

interface Options extends OutputOptions, ModelOption {
  readonly output: string;
  readonly name?: string;
  readonly minutes?: number;
  readonly steps?: number;
  readonly quality: readonly [number, number];
  readonly batch: number;
  readonly side: number;
  readonly rate: number;
  readonly seed: number;
  readonly backend?: TensorFlowBackend;
  readonly resume?: boolean;
  readonly compare: boolean;
}

const EXAMPLES = `
Examples:
  liif tune scans/ -o my.safetensors                   half an hour
  liif tune "maps/*.png" -o my.safetensors --minutes 240
  liif tune scans/ -o my.safetensors --quality 60-90   for these qualities only
  liif tune scans/ -o my.safetensors --resume          go on after Ctrl-C
  liif encode page.png --model my.safetensors
  liif decode page.liif -o page.png --model my.safetensors

Training needs TensorFlow.js, which is not installed by default:
npm install @tensorflow/tfjs-node-gpu (NVIDIA GPUs) or @tensorflow/tfjs-node

Learning pays from some hundred pictures of one kind. One in ten is held out. At
the end these are encoded with the old and the new weights, and the sizes of the
files are compared at equal PSNR and at equal MS-SSIM.`;

/** The state of a run is a file beside the output. */
const STATE_SUFFIX = '.state';
/**
 * The longest wait for an interrupted run to save its state: some hundred megabytes, after the present step.
 */
const SAVING_MS = 60_000;
/** A tenth as fast as TensorFlow's C library on the same processor. */
const SLOW_BACKENDS: readonly TensorFlowBackend[] = ['wasm', 'cpu'];
const NOTE_EVERY_SECONDS = 60;
/** Figures that are shown are running means; this is the weight of the newest step. */
const MEAN_SHARE = 1 / 50;

export default function tuneCommand(): Command {
  const { batch, side, rate, seed } = DEFAULT_SETTINGS;
  const command = new Command('tune')
    .argument('<picture...>', 'images, globs or folders to learn from')
    .addOption(
      new Option('-o, --output <file>', 'the new weights, e.g. my.safetensors; required')
        .argParser(weightsPath)
        .makeOptionMandatory(),
    )
    .addOption(modelOption('to start from'))
    .addOption(
      new Option('--name <name>', 'name of the new weights')
        .argParser(modelName)
        .default(undefined, "by the file's name"),
    )
    .option('--resume', 'go on with a run that was interrupted')
    .option('--no-compare', 'hold no pictures out, and compare nothing')
    .optionsGroup('Training options:')
    .addOption(
      new Option('--minutes <n>', 'how long to train')
        .argParser(decimal(0.1, 100_000))
        .default(undefined, '30')
        .conflicts('steps'),
    )
    .addOption(
      new Option('--steps <n>', 'how many steps to train, instead of a time').argParser(
        wholeNumber(1, 10_000_000),
      ),
    )
    .addOption(
      new Option('--quality <from-to>', 'qualities to tune for, 10 or more apart')
        .argParser(qualityRange)
        .default([1, 100], '1-100'),
    )
    .addOption(new Option('--batch <n>', 'pictures per step').argParser(wholeNumber(1, 256)).default(batch))
    .addOption(
      new Option('--side <pixels>', 'side of these pictures: 128, 256, 384 or 512')
        .argParser(wholeNumber(128, 512, 128))
        .default(side),
    )
    .addOption(
      new Option('--rate <x>', 'highest learning rate').argParser(learningRate).default(rate, '2e-5'),
    )
    .addOption(
      new Option('--seed <n>', 'seed of all random choices').argParser(wholeNumber(0, 2 ** 20)).default(seed),
    )
    .addOption(
      new Option('--backend <name>', 'backend of TensorFlow.js')
        .choices(TENSORFLOW_BACKENDS)
        .default(undefined, 'the first installed'),
    )
    .addHelpText('after', EXAMPLES)
    .action(run);
  return addOutputOptions(command);
}

async function run(args: string[], options: Options): Promise<void> {
  const giveUp = await keepToSelf(options.output);
  try {
    await tuneAlone(args, options);
  } finally {
    await giveUp();
  }
}

async function tuneAlone(args: string[], options: Options): Promise<void> {
  waitAtMost(SAVING_MS);
  const terminal = new Terminal(options);
  const settings = settingsOf(options);
  const modelPath = options.model ?? RELEASED_MODEL;
  if (options.model !== undefined) await expectOther(options.model, options.output);
  const pictures = await namedPictures(args, options.output, terminal);
  const base = await readModelFile(modelPath, interruption());
  // Checked before pictures are read, and so that the error names the file.
  await naming(String(modelPath), async () => convExponents(base.bytes));
  const statePath = options.output + STATE_SUFFIX;
  const same = { base: base.model.hash, settings: { ...settings, compare: options.compare } };
  const state = await stateOf(statePath, options.resume ?? false, { ...same, pictures });
  const backend = await openTrainingBackend(options.backend);
  const chosen = state?.pictures ?? (await chosenPictures(pictures, settings, options.compare, terminal));
  const keeper = new StateKeeper(statePath, { ...same, pictures: placesOf(pictures, chosen) }, terminal);
  // The output is opened before training: if it cannot be written, the command fails now and not in half an
  // hour.
  const { result: trained } = await writeAtomically(options.output, async (file) => {
    const keep = (reached: TuneState) => keeper.keep(reached);
    const run: Run = { base, state, settings, backend, keep };
    const trained = await train(chosen.learned, run, options, terminal);
    await file.write(trained.tuned.file);
    return trained;
  }).catch((error: unknown) => {
    keeper.tellHowToGoOn(error);
    throw error;
  });
  await keeper.remove();
  // The weights are written. They are reported even if the comparison fails or is interrupted.
  let comparison: ModelComparison | undefined;
  try {
    const models = [base.model, trained.tuned.model] as const;
    if (chosen.held.length > 0)
      comparison = await compareOn(chosen.held, models, settings.qualities, terminal);
  } catch (error) {
    if (!isLiifError(error)) throw error;
    terminal.warning(`the weights are not compared: ${error.message}`);
  } finally {
    report(terminal, options, trained, comparison);
  }
}

function settingsOf({ steps, minutes = 30, batch, side, rate, quality, seed }: Options): TuneSettings {
  const until = steps !== undefined ? { steps } : { seconds: 60 * minutes };
  return { until, batch, side, rate, qualities: quality, seed };
}

/** What `train` needs besides pictures. */
interface Run {
  readonly base: BaseModel;
  readonly state: RunState | undefined;
  readonly settings: TuneSettings;
  readonly backend: TrainingBackend;
  readonly keep: (state: TuneState) => Promise<void>;
}

/** The new weights, and the number of pictures that they have learned from. */
interface Trained {
  readonly tuned: TunedModel;
  readonly pictures: number;
}

async function train(
  learned: readonly string[],
  { base, state, settings, backend, keep }: Run,
  options: Options,
  terminal: Terminal,
): Promise<Trained> {
  const signal = interruption();
  const { pieces, pictures } = await terminal.progress('Reading pictures', (onProgress) =>
    cutPieces(learned, {
      smallest: settings.side,
      random: seededRandom(settings.seed),
      signal,
      onProgress,
      onSkip: skipTeller(terminal),
    }),
  );
  if (pieces.length === 0)
    throw new RequestError(
      `There is nothing to learn from: of ${learned.length} pictures none has ${settings.side} pixels on a side`,
    );
  if (SLOW_BACKENDS.includes(backend.backend))
    terminal.warning(
      `training on TensorFlow.js' ${backend.backend} backend takes ten times as long as with @tensorflow/tfjs-node`,
    );
  terminal.note(
    `${state ? `going on from step ${state.step}` : 'starting'} with ${countText(pieces.length, 'piece')} of ${countText(pictures, 'picture')}, on TensorFlow.js' ${backend.backend} backend`,
  );
  const name = options.name ?? nameOf(options.output);
  const tuned = await terminal.progress('Tuning', (onProgress) => {
    const told = teller(terminal, onProgress);
    return tune(base, {
      settings,
      pieces,
      name,
      signal,
      backend,
      ...(state && { from: state }),
      onStep: told,
      onCounted: (share) => {
        if (share === 0 && !process.stderr.isTTY) terminal.note('fitting tables to the symbols that occur');
        onProgress({ done: share, total: 1, title: 'Fitting tables' });
      },
      onState: keep,
    });
  });
  if (tuned.skipped > 0) terminal.warning(`${tuned.skipped} of ${tuned.steps} steps had no finite gradient`);
  return { tuned, pictures };
}

/** Shows the progress of training: in the bar, or where there is none, as a line per minute. */
function teller(terminal: Terminal, onProgress: (progress: Shown) => void): (step: TuneStep) => void {
  let bits = 0;
  let error = 0;
  let weight = 0;
  let toldAt = 0;
  return ({ step, seconds, share, bitsPerPixel, squaredError }) => {
    weight += (1 - weight) * MEAN_SHARE;
    bits += (bitsPerPixel - bits) * (MEAN_SHARE / weight);
    error += (squaredError - error) * (MEAN_SHARE / weight);
    const figures = `step ${step}, ${bits.toFixed(3)} bits per pixel, error ${Math.sqrt(error).toFixed(2)} of 255`;
    onProgress({ done: share, total: 1, title: `Tuning, ${figures}` });
    if (process.stderr.isTTY || seconds - toldAt < NOTE_EVERY_SECONDS) return;
    toldAt = seconds;
    terminal.note(`${(100 * share).toFixed(0)} %, ${figures}`);
  };
}

function report(
  terminal: Terminal,
  { output }: Options,
  { tuned: { file, model, steps, skipped }, pictures }: Trained,
  comparison: ModelComparison | undefined,
): void {
  const { name, hash } = model;
  const summary = `${valueText(output)}: weights ${name}, ${bytesText(file.length)}, ${countText(steps, 'step')} on ${countText(pictures, 'picture')}, hash ${hash}`;
  terminal.result(
    { output, name, hash, bytes: file.length, steps, skipped, pictures, comparison: comparison ?? null },
    comparison ? `${summary}\n${comparisonText(comparison)}` : summary,
  );
  if (comparison && !isBetter(comparison))
    terminal.warning(
      'these weights are no better than those they come from; more pictures of one kind, or a longer run, may help',
    );
}

/** `out/My Scans.safetensors` -> `my-scans`. */
function nameOf(path: string): string {
  const name = basename(path, extname(path))
    .toLowerCase()
    .replaceAll(/[^a-z0-9.]+/g, '-')
    .slice(0, 64);
  return /[a-z0-9]/.test(name) ? name : 'tuned';
}

/**
 * Parses the output. It has to be a file, because the state of the run lies beside it, and is not to replace
 * a picture.
 */
function weightsPath(text: string): string {
  if (outputPath(text) === STANDARD) throw new InvalidArgumentError('Expected the path of a file.');
  if (PICTURE_ENDING.test(text))
    throw new InvalidArgumentError('Expected a file of weights, such as my.safetensors; this is a picture.');
  return text;
}

function modelName(text: string): string {
  if (!/^[a-z0-9.-]{1,64}$/.test(text))
    throw new InvalidArgumentError('Expected at most 64 of a-z, 0-9, dot and hyphen.');
  return text;
}

function qualityRange(text: string): readonly [number, number] {
  const match = /^(\d{1,3})-(\d{1,3})$/.exec(text);
  const [low, high] = match ? [Number(match[1]), Number(match[2])] : [0, 0];
  if (low < 1 || high > 100 || high - low < 10)
    throw new InvalidArgumentError('Expected a range such as 60-90, within 1-100 and at least 10 wide.');
  return [low, high];
}

function learningRate(text: string): number {
  const rate = Number(text);
  if (!(rate > 0 && rate <= 1))
    throw new InvalidArgumentError('Expected a number such as 2e-5, above 0 and at most 1.');
  return rate;
}
