#!/usr/bin/env node
import { Command, CommanderError } from 'commander';
import { VERSION } from '../version.ts';
import { benchCommand } from './bench.ts';
import { compareCommand } from './compare.ts';
import { decodeCommand } from './decode.ts';
import { encodeCommand } from './encode.ts';
import { enginesCommand } from './engines.ts';
import { EXIT, EXIT_CODES_HELP, exitCodeOf } from './exit-codes.ts';
import { infoCommand } from './info.ts';
import { serveCommand } from './serve.ts';
import { ReportedFailure } from './several.ts';
import { printError } from './terminal.ts';
import { verifyCommand } from './verify.ts';

function program(): Command {
  const liif = new Command('liif')
    .description('A learned image format that decodes at any scale')
    .version(VERSION, '-V, --version')
    .helpCommand('help [command]', 'help for a command')
    .addHelpText('after', EXIT_CODES_HELP);
  for (const command of [
    encodeCommand(),
    decodeCommand(),
    infoCommand(),
    verifyCommand(),
    compareCommand(),
    serveCommand(),
    enginesCommand(),
    benchCommand(),
  ])
    liif.addCommand(command);
  // Errors become exceptions and one line of our own.
  for (const command of [liif, ...liif.commands])
    command
      .exitOverride()
      .configureOutput({ outputError: () => {} })
      .showSuggestionAfterError(true);
  return liif;
}

/** Commander's message as a sentence, with where to look further. */
function usageText(error: CommanderError, liif: Command): string {
  const command = liif.commands.find((candidate) => process.argv.slice(2).includes(candidate.name()));
  const message = error.message.replace(/^error: /, '').replaceAll(/\s*\n\s*/g, ' ');
  return `${message}${/[.)?]$/.test(message) ? '' : ';'} see liif ${command ? `${command.name()} ` : ''}--help`;
}

async function main(): Promise<number> {
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    // The reader of a pipe has gone; there is nobody to tell more.
    if (error.code === 'EPIPE') process.exit(EXIT.output);
    throw error;
  });
  const liif = program();
  const debug = process.argv.includes('--debug');
  try {
    if (process.argv.length <= 2) {
      liif.outputHelp({ error: true });
      return EXIT.request;
    }
    await liif.parseAsync();
    return EXIT.ok;
  } catch (error) {
    if (error instanceof ReportedFailure) return exitCodeOf(error);
    if (error instanceof CommanderError) {
      if (exitCodeOf(error) !== EXIT.ok)
        printError(new Error(usageText(error, liif), { cause: error }), debug);
      return exitCodeOf(error);
    }
    printError(error, debug);
    return exitCodeOf(error);
  }
}

process.exitCode = await main();
