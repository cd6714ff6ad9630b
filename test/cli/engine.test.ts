import { Command } from 'commander';
import { expect, it } from 'vitest';
import tuneCommand from '../../src/cli/commands/tune.ts';
import { modelOption } from '../../src/cli/engine.ts';

const silent = (command: Command) => command.exitOverride().configureOutput({ writeErr: () => {} });
const parsed = (command: Command, args: string[]) => silent(command).parseAsync(args, { from: 'user' });

it('refuses a second model where a command computes with one', async () => {
  const command = () => new Command().addOption(modelOption('to encode with')).action(() => {});
  expect((await parsed(command(), ['--model', 'a'])).opts()).toEqual({ model: 'a' });
  await expect(parsed(command(), ['--model', 'a', '--model', 'b'])).rejects.toThrow(
    /'b' is invalid.*one model/,
  );
});

it.each(['-', '/dev/stdout', ''])(
  'writes no tuned weights to %j, beside which no state can lie',
  async (output) => {
    await expect(parsed(tuneCommand(), ['a.png', '-o', output])).rejects.toThrow(/Expected .*path/);
  },
);

it.each(['scan.png', 'scan.LIIF'])('writes no tuned weights over %s', async (output) => {
  await expect(parsed(tuneCommand(), ['a.png', '-o', output])).rejects.toThrow(/my\.safetensors/);
});
