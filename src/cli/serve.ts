import { Command, Option } from 'commander';
import {
  configTable,
  listed,
  readConfig,
  settings,
  shownConfig,
  unknownVariables,
} from '../server/config.ts';
import { collected } from './values.ts';

const EXAMPLES = `
Examples:
  liif serve photos/                               then open http://127.0.0.1:8080/
  liif serve map.liif --port 9000
  liif serve photos/ --host 0.0.0.0 --allowed-hosts pictures.example.org
  liif serve photos/ --disk-cache /var/cache/liif --health-port 8081
  liif serve scans/ --model scans.safetensors      pictures of weights of one's own too
  liif serve --config settings.json --print-config

Addresses of tiles, IIIF and Deep Zoom: /openapi.json of a running server. All settings, in one table: --help-config.`;

/** `liif serve`: options, their environment variables and their help all come from the server's schema. */
export function serveCommand(): Command {
  const command = new Command('serve')
    .argument(
      '[paths...]',
      'directories and files to serve (default: those of LIIF_ROOTS or the file, or this directory)',
    )
    .option('--config <file>', 'settings as JSON; the environment and flags go before it')
    .option('--print-config', 'print the settings in force as JSON and exit')
    .option('--help-config', 'print all settings as a table and exit')
    .addHelpText('after', EXAMPLES);
  for (const { flag, description, default: fallback, boolean, items } of settings()) {
    const text = description.replaceAll('`', '');
    const shown =
      fallback === undefined || fallback === false || (Array.isArray(fallback) && fallback.length === 0)
        ? text
        : `${text} (default: ${JSON.stringify(fallback)})`;
    if (items === 'arguments') continue;
    if (items === 'one') command.addOption(new Option(`${flag} <file>`, shown).argParser(collected));
    else if (items === 'several')
      command.addOption(
        new Option(`${flag} <list>`, shown).argParser((value: string, before: readonly string[] = []) => [
          ...before,
          ...listed(value),
        ]),
      );
    else if (boolean) {
      // Help has the one that changes something; the other overrides environment and file.
      const not = `do not ${text.charAt(0).toLowerCase()}${text.slice(1)}`;
      command
        .addOption(new Option(flag, shown).hideHelp(fallback === true))
        .addOption(new Option(`--no-${flag.slice(2)}`, not).hideHelp(fallback === false));
    } else command.addOption(new Option(`${flag} <value>`, shown));
  }
  return command.action(async (paths: string[], options: Record<string, unknown>) => {
    if (options.helpConfig) {
      process.stdout.write(`${configTable()}\n`);
      return;
    }
    const { model: models, ...flags } = given(options, command);
    for (const name of unknownVariables(process.env))
      process.emitWarning(`${name} is no setting, and is ignored`);
    const found = await readConfig(
      { ...flags, models, ...(paths.length > 0 && { roots: paths }) },
      process.env,
      options.config as string | undefined,
    );
    const here = found.roots.length === 0 && found.remotes.length === 0;
    const config = here ? { ...found, roots: ['.'] } : found;
    if (options.printConfig) {
      process.stdout.write(`${JSON.stringify(shownConfig(config), null, 2)}\n`);
      return;
    }
    // Loaded here, so that the other commands start without it.
    const { serve } = await import('../server/serve.ts');
    const requests = new StopRequests();
    const { AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN } = process.env;
    const running = await serve({
      ...config,
      ...(AWS_ACCESS_KEY_ID &&
        AWS_SECRET_ACCESS_KEY && {
          credentials: {
            accessKeyId: AWS_ACCESS_KEY_ID,
            secretAccessKey: AWS_SECRET_ACCESS_KEY,
            ...(AWS_SESSION_TOKEN && { sessionToken: AWS_SESSION_TOKEN }),
          },
        }),
    });
    const { app, url, localUrl, healthUrl } = running;
    // A person who sees the log on a terminal reads the address below.
    if (!process.stderr.isTTY) app.log.info({ url, localUrl, healthUrl }, 'listening');
    process.stdout.write(`${url}\n`);
    if (healthUrl) process.stdout.write(`health: ${healthUrl}health\n`);
    if (process.stdout.isTTY) process.stdout.write('Open it in a browser. Ctrl-C stops.\n');
    await requests.first();
    await running.stop();
  });
}

/** Options that stand on the command line: `--no-watch` alone would otherwise set `watch` wherever it does not. */
function given(options: Record<string, unknown>, command: Command): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(options).filter(([name]) => command.getOptionValueSource(name) === 'cli'),
  );
}

/** npm hands Ctrl-C on to a process that has it from the terminal already: what comes sooner is the same request. */
const SECOND_REQUEST_MS = 500;

/**
 * Requests to stop. Until somebody waits for the first one they end the process, which as the first of a container would not hear them otherwise; after it, too,
 * whatever is still to be answered.
 */
class StopRequests {
  #begin: (() => void) | undefined;
  #begunAt: number | undefined;

  constructor() {
    for (const [signal, number] of [
      ['SIGHUP', 1],
      ['SIGINT', 2],
      ['SIGTERM', 15],
    ] as const)
      process.on(signal, () => this.#hear(128 + number));
  }

  /** Resolves when the process is asked to stop. */
  first(): Promise<void> {
    return new Promise((resolve) => {
      this.#begin = resolve;
    });
  }

  #hear(exitCode: number): void {
    if (this.#begin === undefined) process.exit(exitCode);
    if (this.#begunAt === undefined) {
      this.#begunAt = performance.now();
      this.#begin();
    } else if (performance.now() - this.#begunAt > SECOND_REQUEST_MS) process.exit(exitCode);
  }
}
