import { existsSync } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { Command } from 'commander';
import { modelHash } from '../../container/header.ts';
import { isLiifError, RequestError, UnsupportedError } from '../../errors.ts';
import { unwritable } from '../../image/atomic-file.ts';
import { OutputError } from '../../image/errors.ts';
import { isSameFile } from '../../image/same-file.ts';
import { DECODER_HASHES, RELEASED_DECODER_HASH } from '../../model/decoder-hashes.ts';
import { readModelFile } from '../../model/model-file.ts';
import {
  type ListedModel,
  listedModel,
  MODEL_LIST,
  modelListText,
  readModelList,
} from '../../model/model-list.ts';
import { RELEASED_MODEL } from '../../model/released-model.ts';
import { packDecoderPart, packedFileOf } from '../../network/packed-part.ts';
import { fileSource } from '../../reader/file-source.ts';
import { openReader } from '../../reader/reader.ts';
import { inOrder } from '../../server/pictures/catalog/natural-order.ts';
import { modelsOption } from '../engine.ts';
import { expandFolders, PICTURES } from '../folders.ts';
import { placeOf } from '../inputs.ts';
import { interruption } from '../interruption.ts';
import { makeFolder } from '../make-folder.ts';
import { naming } from '../several.ts';
import { sourceLink } from '../source-link.ts';
import { addOutputOptions, countText, type OutputOptions, Terminal, valueText } from '../terminal.ts';
import { putThumbnails } from '../thumbnails.ts';
import { builtViewer, copy, expectOwnPage, jsonText, put, replacePage } from '../viewer-page.ts';

const EXAMPLES = `
Examples:
  liif viewer -o site photo.liif         copy site/ to a web host, and open it
  liif viewer -o site more/              adds the pictures of a folder
  liif viewer -o site scan.liif --model my.safetensors

The host needs to send files only; it should answer range requests. Browsers
fetch the parts of a picture that are in view, and decode them. Their threads
share memory where the host also sends these headers:
  Cross-Origin-Opener-Policy: same-origin
  Cross-Origin-Embedder-Policy: require-corp`;

/** Name of the released model in the folder `model`, where the viewer looks for it. */
const MODEL = 'liif-1.safetensors';

interface ViewerOptions extends OutputOptions {
  readonly output: string;
  readonly model?: readonly string[];
}

/** What `pictures.json` tells the page of each picture. */
export interface ListedPicture {
  readonly file: string;
  readonly width: number;
  readonly height: number;
  readonly bytes: number;
  readonly quality: number;
  /** Address of a small image, from the page. */
  readonly thumbnail?: string;
}

export default function viewerCommand(): Command {
  const command = new Command('viewer')
    .argument('[picture...]', '.liif files, globs, or folders of them')
    .requiredOption('-o, --output <folder>', 'for page, weights (19 MB) and pictures; required')
    .addOption(modelsOption())
    .addHelpText('after', EXAMPLES)
    .action(run);
  return addOutputOptions(command);
}

async function run(args: string[], options: ViewerOptions): Promise<void> {
  const { output } = options;
  const signal = interruption();
  const terminal = new Terminal(options);
  const viewer = builtViewer();
  expectOwnPage(output);
  const added = await readModels(options.model ?? [], signal);
  const models = new Map((await listedModels(output)).map((model) => [model.hash, model]));
  for (const { listed } of added) models.set(listed.hash, listed);
  const inputs = await newPictures(args, output);
  // Before anything is written: a picture that is damaged or needs unknown weights would not open in a
  // browser.
  const described = await describeAll(inputs, output, models, signal);
  let pictures: readonly ListedPicture[];
  try {
    await makeFolder(join(output, 'model'));
    await replacePage(viewer, output, signal);
    await putModels(output, added, models, signal);
    for (const input of inputs) {
      const place = join(output, basename(input));
      if (!(await isSameFile(input, place))) await copy(input, place, signal);
    }
    pictures = await withThumbnails(described, output, [...models.values()], terminal);
    // Last, so that all pictures in the list are there.
    await put(join(output, 'pictures.json'), jsonText({ version: 1, pictures }));
  } catch (cause) {
    signal.throwIfAborted();
    throw isLiifError(cause) ? cause : unwritable(output, cause);
  }
  const text = [
    `${valueText(output)}: viewer, weights and ${countText(pictures.length, 'picture')} for a static host`,
    ...pictures.map(({ file }) => `  ${sourceLink(file)}`),
  ];
  terminal.result({ output, pictures }, text.join('\n'));
}

/** The pictures that arguments name, without those that a named folder has in the output folder below it. */
async function newPictures(args: readonly string[], output: string): Promise<string[]> {
  const found = await expandFolders(args, PICTURES);
  const named = new Set(args.map((arg) => placeOf(arg)));
  return found.filter((path) => named.has(placeOf(path)) || placeOf(dirname(path)) !== placeOf(output));
}

/** The inputs and the pictures that are in the folder already, in the order of their names. */
async function describeAll(
  inputs: readonly string[],
  output: string,
  models: ReadonlyMap<string, ListedModel>,
  signal: AbortSignal,
): Promise<ListedPicture[]> {
  const described = new Map<string, ListedPicture>();
  for (const input of inputs) {
    const name = basename(input);
    if (!/\.liif$/i.test(name))
      throw new RequestError(`${input}: not a .liif file; liif encode makes one of an image`);
    if (described.has(name)) throw new RequestError(`${input}: there are two pictures called ${name}`);
    described.set(name, await naming(input, () => describe(input, signal, models)));
  }
  for (const path of await picturesIn(output))
    if (!described.has(basename(path)))
      described.set(basename(path), await naming(path, () => describe(path, signal)));
  return inOrder(described.keys()).map((name) => described.get(name)!);
}

async function withThumbnails(
  pictures: readonly ListedPicture[],
  output: string,
  models: readonly ListedModel[],
  terminal: Terminal,
): Promise<ListedPicture[]> {
  const names = pictures.map(({ file }) => file);
  const files = models.map(({ file }) => join(output, 'model', file));
  const thumbnails = await putThumbnails(output, names, files, terminal);
  return pictures.map((picture) => {
    const thumbnail = thumbnails.get(picture.file);
    return thumbnail === undefined ? picture : { ...picture, thumbnail };
  });
}

/**
 * Writes the released model and the added ones, each also as the packed part that browsers fetch, and the
 * list of all but the released one.
 */
async function putModels(
  output: string,
  added: readonly AddedModel[],
  models: ReadonlyMap<string, ListedModel>,
  signal: AbortSignal,
): Promise<void> {
  const released = {
    listed: { file: MODEL, decoderHash: RELEASED_DECODER_HASH },
    bytes: await readFile(RELEASED_MODEL, { signal }),
  };
  for (const { listed, bytes } of [released, ...added]) {
    await put(join(output, 'model', listed.file), bytes);
    await put(join(output, 'model', packedFileOf(listed.decoderHash)), await packDecoderPart(bytes));
  }
  if (models.size > 0) await put(join(output, 'model', MODEL_LIST), modelListText([...models.values()]));
}

/** The pictures that a folder has; none where there is no such folder. */
async function picturesIn(folder: string): Promise<string[]> {
  const names = await readdir(folder).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return [];
    if (error.code === 'ENOTDIR') throw new OutputError(`${folder}: is not a folder`, { cause: error });
    throw new OutputError(`${folder}: cannot be read: ${error.message}`, { cause: error });
  });
  return names.filter((name) => /\.liif$/i.test(name)).map((name) => join(folder, name));
}

/** A model file of `--model`. */
interface AddedModel {
  readonly listed: ListedModel;
  readonly bytes: Uint8Array;
}

/** Rejects as `readModel` does. */
async function readModels(files: readonly string[], signal: AbortSignal): Promise<AddedModel[]> {
  const models: AddedModel[] = [];
  for (const path of files) {
    const { model, bytes } = await readModelFile(path, signal);
    models.push({ listed: await listedModel(model, bytes), bytes });
  }
  return models;
}

/** The models that earlier calls have added to the folder. */
async function listedModels(output: string): Promise<ListedModel[]> {
  try {
    const list = readModelList(JSON.parse(await readFile(join(output, 'model', MODEL_LIST), 'utf8')));
    return list.filter(({ file }) => existsSync(join(output, 'model', file)));
  } catch {
    return []; // there is no list, or a damaged one
  }
}

/**
 * `models`: models of the page besides the released one; a picture that needs another one is an
 * UnsupportedError. Without `models`, any will do.
 */
async function describe(
  path: string,
  signal: AbortSignal,
  models?: ReadonlyMap<string, ListedModel>,
): Promise<ListedPicture> {
  const source = await fileSource(path);
  try {
    const { header, fileLength } = await openReader(source, { signal });
    const { width, height, quality } = header;
    const hash = modelHash(header);
    if (models && !models.has(hash) && !DECODER_HASHES.has(hash))
      throw new UnsupportedError(
        `the file needs model ${hash}, which browsers would not find; name its file with --model FILE`,
      );
    return { file: basename(path), width, height, bytes: fileLength, quality };
  } finally {
    await source.close();
  }
}
