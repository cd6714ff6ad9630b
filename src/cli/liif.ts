#!/usr/bin/env node
import { Command, CommanderError } from 'commander';
import { EngineError, messageOf } from '../errors.ts';
import { unwritable } from '../image/atomic-file.ts';
import { VERSION } from '../version.ts';
import { EXIT, EXIT_CODES_HELP, exitCodeOf } from './exit-codes.ts';
import { styleHelp } from './help.ts';
import { ReportedFailure } from './several.ts';
import { printError, tellProcessWarnings } from './terminal.ts';

interface Entry {
  readonly name: string;
  readonly description: string;
  /**
   * Imports the command. Only the one that is called is imported, so that `liif --help` needs no image
   * library.
   */
  readonly load: () => Promise<{ readonly default: () => Command }>;
}

const COMMANDS: readonly Entry[] = [
  { name: 'encode', description: 'make .liif files from images', load: () => import('./commands/encode.ts') },
  {
    name: 'decode',
    description: 'make an image of any size from a .liif file',
    load: () => import('./commands/decode.ts'),
  },
  {
    name: 'info',
    description: 'print size, quality and model of .liif files',
    load: () => import('./commands/info.ts'),
  },
  {
    name: 'verify',
    description: 'check that .liif files are undamaged and decode',
    load: () => import('./commands/verify.ts'),
  },
  {
    name: 'compare',
    description: 'measure PSNR and MS-SSIM between two pictures of the same size',
    load: () => import('./commands/compare.ts'),
  },
  {
    name: 'serve',
    description: 'serve pictures and a viewer over HTTP (tiles, IIIF, Deep Zoom)',
    load: () => import('./commands/serve.ts'),
  },
  {
    name: 'viewer',
    description: 'write the viewer and pictures into a folder for a static host',
    load: () => import('./commands/viewer.ts'),
  },
  {
    name: 'tune',
    description: 'fine-tune the network on pictures of your own',
    load: () => import('./commands/tune.ts'),
  },
  {
    name: 'engines',
    description: 'list the engines, and how fast each is here',
    load: () => import('./commands/engines.ts'),
  },
  {
    name: 'bench',
    description: 'measure the engines that run here in detail',
    load: () => import('./commands/bench.ts'),
  },
];

const EXAMPLES = `
Examples:
  liif encode photo.jpg                       writes photo.liif
  liif decode photo.liif -o large.png --scale 4
  liif serve photos/                          zoom into pictures in a browser
  liif help encode`;

async function program(args: readonly string[]): Promise<Command> {
  const liif = new Command('liif')
    .description('a learned image format that decodes at any scale')
    .usage('<command> [options]')
    .version(VERSION, '-V, --version', 'print the version')
    .helpCommand('help [command]', 'print the options and examples of a command')
    .addHelpText('after', `${EXAMPLES}\n${EXIT_CODES_HELP}`);
  for (const { name, description, load } of COMMANDS) {
    const command = args.includes(name) ? (await load().catch(notLoaded)).default() : new Command(name);
    liif.addCommand(command.description(description));
  }
  // Errors become exceptions; `main` prints each as one line.
  for (const command of [liif, ...liif.commands])
    styleHelp(command)
      .exitOverride()
      .configureOutput({ outputError: () => {} })
      .showSuggestionAfterError(true);
  return liif;
}

/**
 * For example, the binaries of sharp are missing: optional dependencies were left out, or there are none for
 * this system.
 */
function notLoaded(cause: unknown): never {
  throw new EngineError(`Not installed as it should be: ${messageOf(cause)}`, { cause });
}

/** Commander's message on one line, with the help that lists what is right. */
function usageText(error: CommanderError): string {
  const command = COMMANDS.find(({ name }) => name === process.argv[2]);
  const message = error.message
    .replace(/^error: /, '')
    .replaceAll(/\s*\n\s*/g, ' ')
    .replace(/\.$/, '');
  return `${message}; see liif ${command ? `${command.name} ` : ''}--help`;
}

/**
 * Whether this Node is older than `engines` of package.json says. Such a version cannot load sharp and
 * undici.
 */
function nodeIsTooOld(): boolean {
  const [major, minor] = process.versions.node.split('.').map(Number) as [number, number];
  return major < 20 || (major === 20 && minor < 19);
}

async function main(): Promise<number> {
  const args = process.argv.slice(2);
  const debug = args.includes('--debug');
  let isReported = false;
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    // EPIPE: the reader of the pipe has left, as `head` does. That is no error.
    if (error.code !== 'EPIPE' && !isReported) printError(unwritable('standard output', error), debug);
    process.exit(EXIT.output);
  });
  // Messages are lost, the work goes on, and the exit code tells the outcome.
  process.stderr.on('error', () => {});
  tellProcessWarnings(args.includes('--quiet'));
  if (nodeIsTooOld()) {
    printError(new Error(`Node 20.19 or later is needed; this is ${process.versions.node}`), debug);
    return EXIT.engine;
  }
  try {
    const liif = await program(args);
    if (args.length === 0) {
      liif.outputHelp({ error: true });
      return EXIT.request;
    }
    const [first, topic] = args;
    if (first === 'help' && topic === 'help') liif.help();
    if (first === 'help' && topic !== undefined && !liif.commands.some((command) => command.name() === topic))
      liif.error(`unknown command '${topic}'`);
    await liif.parseAsync();
    return EXIT.ok;
  } catch (error) {
    if (error instanceof ReportedFailure) return exitCodeOf(error);
    if (exitCodeOf(error) === EXIT.ok) return EXIT.ok; // commander throws after help and version, too
    isReported = true;
    printError(
      error instanceof CommanderError ? new Error(usageText(error), { cause: error }) : error,
      debug,
    );
    return exitCodeOf(error);
  }
}

process.exitCode = await main();
