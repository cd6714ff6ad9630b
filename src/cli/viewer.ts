import { existsSync } from 'node:fs';
import { copyFile, cp, mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { basename, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Command } from 'commander';
import { modelHash } from '../container/header.ts';
import { RequestError, SourceError, UnsupportedError } from '../errors.ts';
import { OutputError } from '../image/errors.ts';
import { DECODER_HASHES } from '../model/decoder-hashes.ts';
import { readModelFile } from '../model/model-file.ts';
import {
  type ListedModel,
  listedModel,
  MODEL_LIST,
  modelListText,
  readModelList,
} from '../model/model-list.ts';
import { RELEASED_MODEL } from '../model/released-model.ts';
import { fileSource } from '../reader/file-source.ts';
import { openReader } from '../reader/reader.ts';
import { modelsOption } from './engine.ts';
import { expandInputs } from './inputs.ts';
import { interruption } from './interruption.ts';
import { naming } from './several.ts';
import { addOutputOptions, countText, type OutputOptions, Terminal, valueText } from './terminal.ts';

const EXAMPLES = `
Examples:
  liif viewer -o site photo.liif       then copy site/ to any web host, and open it there
  liif viewer -o site more/*.liif      adds pictures to those that are there
  liif viewer -o site scan.liif --model scans.safetensors    with weights of one's own

Browsers fetch what is shown of a picture and decode it: the host needs to send files, better with ranges. Where it also sends
the headers Cross-Origin-Opener-Policy: same-origin and Cross-Origin-Embedder-Policy: require-corp, threads share their memory.`;

/** The released weights; the viewer looks for them there. */
const MODEL = 'model/liif-1.safetensors';

/** Lists the files of the page in the folder: the next version may call them otherwise. A page without it is somebody else's. */
const OWN_FILES = 'viewer.json';

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
}

export function viewerCommand(): Command {
  const command = new Command('viewer')
    .argument('[pictures...]', '.liif files or globs to put beside the viewer')
    .requiredOption('-o, --output <folder>', 'folder for page, weights (14 MB) and pictures')
    .addOption(modelsOption())
    .addHelpText('after', EXAMPLES)
    .action(run);
  return addOutputOptions(command);
}

async function run(args: string[], options: ViewerOptions): Promise<void> {
  const { output } = options;
  const viewer = ['../viewer', '../../dist/viewer']
    .map((path) => fileURLToPath(new URL(path, import.meta.url)))
    .find((path) => existsSync(join(path, 'index.html')) && existsSync(join(path, 'assets')));
  if (viewer === undefined) throw new RequestError('The viewer is not built; run npm run build:viewer');
  if (existsSync(join(output, 'index.html')) && !existsSync(join(output, OWN_FILES)))
    throw new RequestError(
      `${output}: has a page that is not the viewer's; name another folder, or remove its index.html`,
    );
  const added = await readModels(options.model ?? []);
  const models = new Map((await listedModels(output)).map((model) => [model.hash, model]));
  for (const { listed } of added) models.set(listed.hash, listed);
  const inputs = await expandInputs(args);
  const described = new Map<string, ListedPicture>();
  for (const input of inputs) {
    const name = basename(input);
    if (!/\.liif$/i.test(name))
      throw new RequestError(`${input}: not a .liif file; make one with liif encode`);
    if (described.has(name)) throw new RequestError(`${input}: there are two pictures called ${name}`);
    // Before anything is written: what is no picture would be one that no browser shows.
    described.set(name, await naming(input, () => describe(input, models)));
  }
  // Pictures that are there already are listed, too.
  for (const path of await picturesIn(output))
    if (!described.has(basename(path)))
      described.set(basename(path), await naming(path, () => describe(path)));
  const pictures = [...described.keys()].sort().map((name) => described.get(name)!);
  try {
    await mkdir(join(output, 'model'), { recursive: true });
    await replacePage(viewer, output);
    await copyFile(RELEASED_MODEL, join(output, MODEL));
    for (const { listed, bytes } of added) await writeFile(join(output, 'model', listed.file), bytes);
    if (models.size > 0)
      await writeFile(join(output, 'model', MODEL_LIST), modelListText([...models.values()]));
    for (const input of inputs)
      if (resolve(input) !== resolve(output, basename(input)))
        await copyFile(input, join(output, basename(input)));
    await writeFile(join(output, 'pictures.json'), `${JSON.stringify({ version: 1, pictures }, null, 1)}\n`);
  } catch (cause) {
    if (cause instanceof RequestError || cause instanceof SourceError) throw cause;
    throw new OutputError(`${output}: cannot be written: ${(cause as Error).message}`, { cause });
  }
  const lines = pictures.map(({ file }) => `  ?src=${encodeURIComponent(file)}`);
  const text = [
    `${valueText(output)}: viewer, weights and ${countText(pictures.length, 'picture')} for a static host`,
    ...lines,
  ];
  new Terminal(options).result({ output, pictures }, text.join('\n'));
}

/** The pictures that a folder has; none where there is no such folder. */
async function picturesIn(folder: string): Promise<string[]> {
  const names = await readdir(folder).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return [];
    throw new OutputError(`${folder}: cannot be read: ${error.message}`, { cause: error });
  });
  return names.filter((name) => /\.liif$/i.test(name)).map((name) => join(folder, name));
}

/** Copies the page; of what an earlier call has copied, files that are no part of it any more go. */
async function replacePage(viewer: string, output: string): Promise<void> {
  const assets = (await readdir(join(viewer, 'assets'))).map((name) => `assets/${name}`).sort();
  const earlier = await ownFiles(output);
  const list = (files: readonly string[]) =>
    writeFile(join(output, OWN_FILES), `${JSON.stringify({ version: 1, files }, null, 1)}\n`);
  // Before the page: one of which only a part was copied is known as ours, too.
  await list([...new Set([...earlier, ...assets])]);
  await cp(viewer, output, { recursive: true });
  const page = join(output, 'index.html');
  await writeFile(page, (await readFile(page, 'utf8')).replace('<html ', '<html data-host="files" '));
  const gone = earlier.filter((path) => !assets.includes(path));
  for (const path of gone) await rm(join(output, path), { force: true });
  await list(assets);
}

/** What an earlier call has listed; nothing where the list is missing or not one of ours. Whatever it says, no path leads out of `assets`. */
async function ownFiles(output: string): Promise<string[]> {
  try {
    const { files } = JSON.parse(await readFile(join(output, OWN_FILES), 'utf8')) as { files: unknown[] };
    return files.filter(
      (path): path is string => typeof path === 'string' && /^assets\/\w[\w.-]*$/.test(path),
    );
  } catch {
    return [];
  }
}

/** Reads the model files of `--model`. Rejects as `readModel` does. */
async function readModels(files: readonly string[]) {
  const models: { readonly listed: ListedModel; readonly bytes: Uint8Array }[] = [];
  for (const path of files) {
    const { model, bytes } = await readModelFile(path, interruption());
    models.push({ listed: await listedModel(model, bytes), bytes });
  }
  return models;
}

/** Those that earlier calls have put there. */
async function listedModels(output: string): Promise<ListedModel[]> {
  try {
    const list = readModelList(JSON.parse(await readFile(join(output, 'model', MODEL_LIST), 'utf8')));
    return list.filter(({ file }) => existsSync(join(output, 'model', file)));
  } catch {
    return []; // there is none, or one that is none of ours
  }
}

/** `models`: those that the page will have besides the released ones; without them, any is taken. Rejects also with UnsupportedError. */
async function describe(path: string, models?: ReadonlyMap<string, ListedModel>): Promise<ListedPicture> {
  const source = await fileSource(path);
  try {
    const { header, fileLength } = await openReader(source);
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
