import { createReadStream, existsSync } from 'node:fs';
import { mkdir, readdir, readFile, rm } from 'node:fs/promises';
import { basename, dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Command } from 'commander';
import { modelHash } from '../container/header.ts';
import { RequestError, SourceError, UnsupportedError } from '../errors.ts';
import { writeAtomically } from '../image/atomic-file.ts';
import { OutputError } from '../image/errors.ts';
import { isSameFile } from '../image/same-file.ts';
import { DECODER_HASHES, RELEASED_DECODER_HASH } from '../model/decoder-hashes.ts';
import { readModelFile } from '../model/model-file.ts';
import {
  type ListedModel,
  listedModel,
  MODEL_LIST,
  modelListText,
  readModelList,
} from '../model/model-list.ts';
import { RELEASED_MODEL } from '../model/released-model.ts';
import { inOrder } from '../natural-order.ts';
import { packDecoderPart, packedFileOf } from '../network/packed-part.ts';
import { fileSource } from '../reader/file-source.ts';
import { openReader } from '../reader/reader.ts';
import { modelsOption } from './engine.ts';
import { expandInputs } from './inputs.ts';
import { interruption } from './interruption.ts';
import { naming } from './several.ts';
import { sourceLink } from './source-link.ts';
import { addOutputOptions, countText, type OutputOptions, Terminal, valueText } from './terminal.ts';

const EXAMPLES = `
Examples:
  liif viewer -o site photo.liif         copy site/ to a web host, and open it
  liif viewer -o site more/*.liif        adds pictures
  liif viewer -o site scan.liif --model my.safetensors

The host needs to send files only; it should answer range requests. Browsers
fetch the parts of a picture that are in view, and decode them. Their threads
share memory where the host also sends these headers:
  Cross-Origin-Opener-Policy: same-origin
  Cross-Origin-Embedder-Policy: require-corp`;

/** The released weights; the viewer looks for them there. */
const MODEL = 'liif-1.safetensors';

const PAGE = 'index.html';

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
    .argument('[picture...]', '.liif files or globs')
    .requiredOption('-o, --output <folder>', 'for page, weights (19 MB) and pictures; required')
    .addOption(modelsOption())
    .addHelpText('after', EXAMPLES)
    .action(run);
  return addOutputOptions(command);
}

async function run(args: string[], options: ViewerOptions): Promise<void> {
  const { output } = options;
  const signal = interruption();
  const viewer = ['../viewer', '../../dist/viewer']
    .map((path) => fileURLToPath(new URL(path, import.meta.url)))
    .find((path) => existsSync(join(path, PAGE)) && existsSync(join(path, 'assets')));
  if (viewer === undefined) throw new RequestError('The viewer is not built; run npm run build:viewer');
  if (existsSync(join(output, PAGE)) && !existsSync(join(output, OWN_FILES)))
    throw new RequestError(
      `${output}: has a page that is not the viewer's; name another folder, or remove its index.html`,
    );
  const added = await readModels(options.model ?? [], signal);
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
    described.set(name, await naming(input, () => describe(input, signal, models)));
  }
  // Pictures that are there already are listed, too.
  for (const path of await picturesIn(output))
    if (!described.has(basename(path)))
      described.set(basename(path), await naming(path, () => describe(path, signal)));
  const pictures = inOrder(described.keys()).map((name) => described.get(name)!);
  try {
    await mkdir(join(output, 'model'), { recursive: true });
    await replacePage(viewer, output, signal);
    const released = {
      listed: { file: MODEL, decoderHash: RELEASED_DECODER_HASH },
      bytes: await readFile(RELEASED_MODEL, { signal }),
    };
    for (const { listed, bytes } of [released, ...added]) {
      await put(join(output, 'model', listed.file), bytes);
      // What browsers fetch of it; the file itself is for those that cannot.
      await put(join(output, 'model', packedFileOf(listed.decoderHash)), await packDecoderPart(bytes));
    }
    if (models.size > 0) await put(join(output, 'model', MODEL_LIST), modelListText([...models.values()]));
    for (const input of inputs) {
      const place = join(output, basename(input));
      if (!(await isSameFile(input, place))) await copy(input, place, signal);
    }
    // Last: what it names is there.
    await put(join(output, 'pictures.json'), jsonText({ version: 1, pictures }));
  } catch (cause) {
    signal.throwIfAborted();
    if (cause instanceof RequestError || cause instanceof SourceError) throw cause;
    throw new OutputError(`${output}: cannot be written: ${(cause as Error).message}`, { cause });
  }
  const lines = pictures.map(({ file }) => `  ${sourceLink(file)}`);
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
async function replacePage(viewer: string, output: string, signal: AbortSignal): Promise<void> {
  const entries = await readdir(viewer, { recursive: true, withFileTypes: true });
  const files = entries
    .filter((entry) => entry.isFile())
    .map((entry) => relative(viewer, join(entry.parentPath, entry.name)).replaceAll('\\', '/'))
    .sort();
  const assets = files.filter((path) => path.startsWith('assets/'));
  const earlier = await ownFiles(output);
  const list = (listed: readonly string[]) =>
    put(join(output, OWN_FILES), jsonText({ version: 1, files: listed }));
  // Before the page: one of which only a part was copied is known as ours, too.
  await list([...new Set([...earlier, ...assets])]);
  for (const path of files) {
    if (path === PAGE) continue;
    await mkdir(dirname(join(output, path)), { recursive: true });
    await copy(join(viewer, path), join(output, path), signal);
  }
  // When all that it asks for is there.
  const page = await readFile(join(viewer, PAGE), 'utf8');
  const own = page
    .replace('<html ', '<html data-host="files" ')
    .replace('</head>', `${hintsFor(assets)}</head>`)
    .replace(
      'href="openapi.json">the addresses of this server<',
      'href="pictures.json">the addresses in this list<',
    );
  await put(join(output, PAGE), own);
  const gone = earlier.filter((path) => !assets.includes(path));
  for (const path of gone) await rm(join(output, path), { force: true });
  await list(assets);
}

/**
 * What every picture needs beside the first script, with what that imports, in the order in which it is needed: it comes with that script, not after it has
 * run. The last three are for a worker, which finds them in the browser's cache.
 */
const EARLY = ['view-page', 'nearest', 'local-picture', 'decoder-worker', 'decoder', 'errors'];

function hintsFor(assets: readonly string[]): string {
  const hints = EARLY.flatMap((name) =>
    assets.filter((path) => /^assets\/(.+)-[\w-]{8}\.(?:js|css)$/.exec(path)?.[1] === name),
  ).map((path) => {
    const rel = path.endsWith('.js') ? 'rel="modulepreload"' : 'rel="preload" as="style"';
    return `  <link ${rel} crossorigin href="./${path}">\n  `;
  });
  return hints.join('');
}

/** The file has its earlier bytes until it has all of these, as has every file of the site: hosts go on sending them, whatever goes wrong here. */
async function put(path: string, content: string | Uint8Array): Promise<void> {
  await writeAtomically(path, (file) =>
    file.write(typeof content === 'string' ? Buffer.from(content) : content),
  );
}

async function copy(from: string, to: string, signal: AbortSignal): Promise<void> {
  await writeAtomically(to, async (file) => {
    for await (const part of createReadStream(from, { signal })) await file.write(part as Buffer);
  });
}

function jsonText(value: unknown): string {
  return `${JSON.stringify(value, null, 1)}\n`;
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
async function readModels(files: readonly string[], signal: AbortSignal) {
  const models: { readonly listed: ListedModel; readonly bytes: Uint8Array }[] = [];
  for (const path of files) {
    const { model, bytes } = await readModelFile(path, signal);
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
