import { fork } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { keepToSelf } from '../../../src/cli/tune/lock.ts';

const held = /mine\.safetensors: cannot be written: another liif tune is at work on it; wait for it to end/;

let folder: string;
let output: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'liif-lock-'));
  output = join(folder, 'mine.safetensors');
});
afterEach(() => rm(folder, { recursive: true }));

describe.each<[string, ((name: string) => string) | undefined]>([
  ['sockets of this system', undefined],
  ['sockets that have files', (name) => join(folder, name)],
])('by %s, an output', (_, addressOf) => {
  it('is of one run at a time', async () => {
    const giveUp = await keepToSelf(output, addressOf);
    await expect(keepToSelf(output, addressOf)).rejects.toThrow(held);
    await (await keepToSelf(join(folder, 'other.safetensors'), addressOf))();
    await giveUp();
    await (await keepToSelf(output, addressOf))();
  });

  it('is free again when the process that had it was killed', async () => {
    const program = join(folder, 'hold.mts');
    const lock = new URL('../../../src/cli/tune/lock.ts', import.meta.url).href;
    const own = addressOf ? `(name) => ${JSON.stringify(`${folder}/`)} + name` : 'undefined';
    await writeFile(
      program,
      `import { keepToSelf } from '${lock}'; await keepToSelf(${JSON.stringify(output)}, ${own}); process.send('held'); setInterval(() => {}, 1000);`,
    );
    const child = fork(program, { execArgv: ['--import', import.meta.resolve('tsx')] });
    await once(child, 'message');
    await expect(keepToSelf(output, addressOf)).rejects.toThrow(held);
    child.kill('SIGKILL');
    await once(child, 'exit');
    await (await keepToSelf(output, addressOf))();
  });
});

it('is one output however its folder is named', async () => {
  await symlink(folder, join(folder, 'link'));
  const giveUp = await keepToSelf(output);
  await expect(keepToSelf(join(folder, 'link', 'mine.safetensors'))).rejects.toThrow(held);
  await expect(keepToSelf(relative('.', output))).rejects.toThrow(held);
  await giveUp();
});

it('leaves it to others to say that a folder is missing', async () => {
  await (await keepToSelf(join(folder, 'missing', 'mine.safetensors')))();
  expect(existsSync(join(folder, 'missing'))).toBe(false);
});
