import { Command, Option } from 'commander';
import { TENSORFLOW_BACKENDS, type TensorFlowBackend } from '../../engine/tensorflow/backend.ts';
import { isLiifError } from '../../errors.ts';
import { writeAtomically } from '../../image/atomic-file.ts';
import { expectOther } from '../../image/same-file.ts';
import { readModelFile } from '../../model/model-file.ts';
import { RELEASED_MODEL } from '../../model/released-model.ts';
import type { ModelComparison } from '../../train/compare-models.ts';
import { convExponents } from '../../train/network/exponents.ts';
import { openTrainingBackend } from '../../train/tensorflow.ts';
import { DEFAULT_SETTINGS, type TuneSettings, type TuneState } from '../../train/tune.ts';
import { type ModelOption, modelOption } from '../engine.ts';
import { interruption, waitAtMost } from '../interruption.ts';
import { naming } from '../several.ts';
import {
  addOutputOptions,
  bytesText,
  countText,
  type OutputOptions,
  Terminal,
  valueText,
} from '../terminal.ts';
import { compareOn, comparisonText, isBetter } from '../tune/comparison.ts';
import { keepToSelf } from '../tune/lock.ts';
import { chosenPictures, namedPictures } from '../tune/pictures.ts';
import { placesOf, StateKeeper, stateOf } from '../tune/state.ts';
import { type Run, type Trained, train } from '../tune/training.ts';
import { learningRate, modelName, nameByPath, qualityRange, weightsPath } from '../tune/values.ts';
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
    const name = options.name ?? nameByPath(options.output);
    const run: Run = { base, name, state, settings, backend, keep };
    const trained = await train(chosen.learned, run, terminal);
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
