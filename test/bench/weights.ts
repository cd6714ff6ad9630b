/**
 * Replaces the released weights, and everything that depends on them:
 *
 *     npm run weights -- CHECKPOINT PICTURES [--pictures 120] [--validation 24] [--python python3] [--force]
 *
 * PICTURES is a folder with train-*.tar (for calibration) and validation-*.tar (for the comparison), as for
 * training. The checkpoint is halved to float16 and exported from that, so the repository holds what its
 * model is made of. The candidate is loaded with its proof of bounds and compared with the present model on
 * validation pictures; one that is worse at any quality is refused, unless --force is given. Then samples and
 * vectors are made again, and the old hash is replaced where files of the repository state it. If a step
 * fails, the weights are put back.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { copyFile, mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { decoderHashOf } from '../../src/network/decoder-model.ts';
import { loadModel } from '../../src/network/load.ts';
import { judgeCandidate } from './weights-comparison.ts';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const REFERENCE = join(ROOT, 'format-spec/reference');
const MODEL = join(ROOT, 'src/model/liif-1.safetensors');
const CHECKPOINT = join(REFERENCE, 'liif-1-float16.safetensors');
/** Digits by which tables and headings name a model. */
const SHORT_HASH = 16;

const { values: options, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    pictures: { type: 'string', default: '120' },
    validation: { type: 'string', default: '24' },
    python: { type: 'string', default: 'python3' },
    force: { type: 'boolean', default: false },
  },
});
const [checkpoint, pictures] = positionals.map((path) => resolve(path));
if (checkpoint === undefined || pictures === undefined || positionals.length > 2) {
  process.stderr.write(
    'Usage: npm run weights -- CHECKPOINT PICTURES [--pictures 120] [--validation 24] [--python python3] [--force]\n',
  );
  process.exit(2);
}

const folder = await mkdtemp(join(tmpdir(), 'liif-weights-'));
try {
  process.exitCode = (await replace(checkpoint, pictures)) ? 0 : 1;
} catch (error) {
  process.stderr.write(`weights: ${(error as Error).message}\n`);
  process.exitCode = 1;
} finally {
  await rm(folder, { recursive: true });
}

async function replace(from: string, corpus: string): Promise<boolean> {
  const half = join(folder, 'checkpoint.safetensors');
  const exported = join(folder, 'model.safetensors');
  const calibration = await archives(corpus, 'train');
  const validation = join(folder, 'validation-pictures');
  say('float16 checkpoint');
  python('halve.py', from, '-o', half);
  say('integers; some minutes');
  python('export.py', half, '--calibrate', calibration, '--pictures', options.pictures, '-o', exported);
  python(
    'pictures.py',
    await archives(corpus, 'validation'),
    '--count',
    options.validation,
    '-o',
    validation,
  );

  const kept = await loadModel(await readFile(MODEL));
  const candidate = await loadModel(await readFile(exported));
  say(`candidate ${candidate.hash} can be loaded: no accumulator can overflow`);
  if (candidate.hash === kept.hash) {
    say('it is the present model');
    await copyFile(half, CHECKPOINT);
    return true;
  }
  const verdict = await judgeCandidate(kept, candidate, validation);
  process.stdout.write(`${verdict.report.join('\n')}\n`);
  if (!verdict.better && !options.force) {
    say(
      verdict.equal
        ? 'not kept: no better than the present model (--force keeps it)'
        : 'not kept: worse than the present model at a quality (--force keeps it)',
    );
    return false;
  }
  await install(exported, half, kept.hash, candidate.hash);
  say(`kept. Look at the changes (git status), run npm test, and commit`);
  return true;
}

async function install(model: string, half: string, before: string, after: string): Promise<void> {
  const backups = new Map<string, Uint8Array | undefined>();
  for (const path of [MODEL, CHECKPOINT]) backups.set(path, await readFile(path).catch(() => undefined));
  try {
    await copyFile(model, MODEL);
    await copyFile(half, CHECKPOINT);
    for (const script of ['samples', 'vectors', 'contact-sheet']) {
      say(`npm run ${script}`);
      execFileSync('npm', ['run', '--silent', script], { cwd: ROOT, stdio: 'inherit' });
    }
    await replaceHash(before, after);
    // Browsers check their part of the model by this hash.
    await replaceHash(await decoderHashOf(backups.get(MODEL)!), await decoderHashOf(await readFile(MODEL)));
  } catch (error) {
    for (const [path, bytes] of backups) if (bytes) await writeFile(path, bytes);
    throw new Error(`${(error as Error).message}; the old weights are back, other files may have changed`);
  }
}

/** Replaces a hash, whole or shortened, in every text file of the repository. */
async function replaceHash(before: string, after: string): Promise<void> {
  const short = before.slice(0, SHORT_HASH);
  const found = spawnSync('git', ['grep', '--untracked', '-lIF', short], { cwd: ROOT, encoding: 'utf8' });
  for (const name of found.stdout.split('\n').filter(Boolean)) {
    const path = join(ROOT, name);
    const text = await readFile(path, 'utf8');
    await writeFile(path, text.replaceAll(before, after).replaceAll(short, after.slice(0, SHORT_HASH)));
    say(`hash replaced in ${name}`);
  }
}

/** A folder with links to the archives of one kind. */
async function archives(corpus: string, kind: 'train' | 'validation'): Promise<string> {
  const names = (await readdir(corpus)).filter(
    (name) => name.startsWith(`${kind}-`) && name.endsWith('.tar'),
  );
  if (names.length === 0) throw new Error(`${corpus} has no ${kind}-*.tar`);
  const links = join(folder, kind);
  await mkdir(links);
  for (const name of names) await symlink(join(corpus, name), join(links, name));
  return links;
}

function python(script: string, ...args: string[]): void {
  execFileSync(options.python, [join(REFERENCE, script), ...args], { cwd: ROOT, stdio: 'inherit' });
}

function say(text: string): void {
  process.stderr.write(`weights: ${text}\n`);
}
