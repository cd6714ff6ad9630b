#!/usr/bin/env node
import { Command, CommanderError } from 'commander';
import { EngineError, messageOf } from '../errors.ts';
import { unwritable } from '../image/atomic-file.ts';
import { VERSION } from '../version.ts';
import { EXIT, EXIT_CODES_HELP, exitCodeOf } from './exit-codes.ts';
import { ReportedFailure } from './several.ts';
import { printError, tellProcessWarnings } from './terminal.ts';

interface Entry {
  readonly name: string;
  readonly description: string;
  /** Options, and what is done. Loaded for the command that is called: `liif --help` needs no image library. */
  readonly load: () => Promise<Command>;
}

const COMMANDS: readonly Entry[] = [
  {
    name: 'encode',
    description: 'make .liif files from images (JPEG, PNG, WebP, AVIF, HEIC, TIFF, GIF, SVG)',
    load: async () => (await import('./encode.ts')).encodeCommand(),
  },
  {
    name: 'decode',
    description: 'make an image of any size from a .liif file',
    load: async () => (await import('./decode.ts')).decodeCommand(),
  },
  {
    name: 'info',
    description: 'print what the header and index of .liif files say',
    load: async () => (await import('./info.ts')).infoCommand(),
  },
  {
    name: 'verify',
    description: 'check .liif files: every checksum, and that every chunk decodes',
    load: async () => (await import('./verify.ts')).verifyCommand(),
  },
  {
    name: 'compare',
    description: 'PSNR, MS-SSIM and bits per pixel of two pictures of the same size',
    load: async () => (await import('./compare.ts')).compareCommand(),
  },
  {
    name: 'serve',
    description: 'serve pictures and a viewer over HTTP: XYZ tiles, IIIF, Deep Zoom',
    load: async () => (await import('./serve.ts')).serveCommand(),
  },
  {
    name: 'viewer',
    description: 'copy the viewer and pictures into a folder for any static host: browsers decode',
    load: async () => (await import('./viewer.ts')).viewerCommand(),
  },
  {
    name: 'tune',
    description: 'fine-tune the network on pictures of your own',
    load: async () => (await import('./tune.ts')).tuneCommand(),
  },
  {
    name: 'engines',
    description: 'list what can compute the networks here, and how fast each is',
    load: async () => (await import('./engines.ts')).enginesCommand(),
  },
  {
    name: 'bench',
    description: 'measure every engine that runs here, beside plain kernels on the same device',
    load: async () => (await import('./bench.ts')).benchCommand(),
  },
];

async function program(args: readonly string[]): Promise<Command> {
  const liif = new Command('liif')
    .description('A learned image format that decodes at any scale')
    .version(VERSION, '-V, --version')
    .helpCommand('help [command]', 'help for a command')
    .configureHelp({ subcommandTerm: (command) => command.name() })
    .addHelpText('after', `\nHelp for one command, with examples: liif help encode\n${EXIT_CODES_HELP}`);
  for (const { name, description, load } of COMMANDS) {
    const command = args.includes(name) ? await load().catch(notLoaded) : new Command(name);
    liif.addCommand(command.description(description));
  }
  // Errors become exceptions and one line of our own.
  for (const command of [liif, ...liif.commands])
    command
      .exitOverride()
      .configureOutput({ outputError: () => {} })
      .showSuggestionAfterError(true);
  return liif;
}

/** For one, sharp's library is missing where optional dependencies were left out, or there is none for the system. */
function notLoaded(cause: unknown): never {
  throw new EngineError(`Not installed as it should be: ${messageOf(cause)}`, { cause });
}

/** Commander's message as a sentence, with where to look further. */
function usageText(error: CommanderError): string {
  const command = COMMANDS.find(({ name }) => name === process.argv[2]);
  const message = error.message
    .replace(/^error: /, '')
    .replaceAll(/\s*\n\s*/g, ' ')
    .replace(/\.$/, '');
  return `${message}; see liif ${command ? `${command.name} ` : ''}--help`;
}

/** Older than `engines` of package.json: sharp and undici cannot be loaded. */
function nodeIsTooOld(): boolean {
  const [major, minor] = process.versions.node.split('.').map(Number) as [number, number];
  return major < 20 || (major === 20 && minor < 19);
}

async function main(): Promise<number> {
  const args = process.argv.slice(2);
  const debug = args.includes('--debug');
  let told = false;
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    // Where the reader of a pipe has gone there is nobody to tell more.
    if (error.code !== 'EPIPE' && !told) printError(unwritable('standard output', error), debug);
    process.exit(EXIT.output);
  });
  // What cannot be told still is done, and the exit code says how it went.
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
    if (exitCodeOf(error) === EXIT.ok) return EXIT.ok; // help and version are such exceptions
    told = true;
    printError(
      error instanceof CommanderError ? new Error(usageText(error), { cause: error }) : error,
      debug,
    );
    return exitCodeOf(error);
  }
}

process.exitCode = await main();
