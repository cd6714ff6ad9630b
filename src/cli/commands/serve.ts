import { once } from 'node:events';
import { Command, Option } from 'commander';
import { type Config, listed } from '../../server/config.ts';
import { readConfig, unknownVariables } from '../../server/read-config.ts';
import { configTable, type Setting, settings, shownConfig } from '../../server/settings.ts';
import { interruption, waitAtMost } from '../interruption.ts';
import { debugOption, GENERAL_GROUP } from '../terminal.ts';
import { collected } from '../values.ts';

const EXAMPLES = `
Examples:
  liif serve photos/                  then open http://127.0.0.1:8080/
  liif serve map.liif --port 9000
  liif serve photos/ --host 0.0.0.0 --allowed-hosts pictures.example.org
  liif serve photos/ --disk-cache /var/cache/liif --health-port 8081
  liif serve scans/ --model my.safetensors
  liif serve --config settings.json --print-config

/openapi.json of a running server lists the addresses of tiles, IIIF and Deep
Zoom. --help-config prints all settings with their environment variables.`;

/** The first setting of each group of options in the help. */
const GROUPS: { readonly [Name in keyof Config]?: string } = {
  host: 'Address and access options:',
  watch: 'Picture options:',
  remotes: 'Remote folder options:',
  engine: 'Engine options:',
  featureCacheMb: 'Cache options:',
  maxOutputSide: 'Limit options:',
  jpegQuality: 'Answer and log options:',
};

/** `liif serve`: options, their environment variables and their help all come from the server's schema. */
export default function serveCommand(): Command {
  const command = new Command('serve')
    .argument('[path...]', 'folders and files to serve (default: LIIF_ROOTS, or those of --config, or .)')
    .option('--config <file>', 'settings as JSON; environment and options override them')
    .option('--print-config', 'print the settings in force as JSON, and exit')
    .option('--help-config', 'print all settings as a table, and exit');
  for (const setting of settings()) {
    const group = GROUPS[setting.name];
    if (group !== undefined) command.optionsGroup(group);
    for (const option of optionsOf(setting)) command.addOption(option);
  }
  return command
    .optionsGroup(GENERAL_GROUP)
    .addOption(debugOption())
    .addHelpText('after', EXAMPLES)
    .action((paths: string[], options: Record<string, unknown>) => run(paths, options, command));
}

/**
 * A setting's options. Of a boolean's two, the help has the one that changes the default; the other overrides
 * environment and file.
 */
function optionsOf({ flag, description, default: fallback, boolean, items }: Setting): Option[] {
  const text = phraseOf(description);
  if (boolean)
    return [
      new Option(flag, text).hideHelp(fallback === true),
      new Option(`--no-${flag.slice(2)}`, `do not ${text}`).hideHelp(fallback === false),
    ];
  switch (items) {
    case 'arguments':
      return [];
    case 'one':
      return [new Option(`${flag} <file>`, text).argParser(collected)];
    case 'several':
      return [
        new Option(`${flag} <list>`, text).argParser((value: string, before: readonly string[] = []) => [
          ...before,
          ...listed(value),
        ]),
      ];
    default: {
      const option = new Option(`${flag} <${typeof fallback === 'number' ? 'n' : 'value'}>`, text);
      return [fallback === undefined ? option : option.default(undefined, String(fallback))];
    }
  }
}

/**
 * A description of the schema in the style of other options: `Address to listen on.` -> `address to listen on`.
 * Names keep their capitals.
 */
function phraseOf(description: string): string {
  const text = description.replaceAll('`', '').replace(/\.$/, '');
  return /^(?!Redis)[A-Z][a-z]* /.test(text) ? text.charAt(0).toLowerCase() + text.slice(1) : text;
}

async function run(paths: readonly string[], options: Record<string, unknown>, command: Command) {
  if (options.helpConfig) {
    process.stdout.write(`${configTable()}\n`);
    return;
  }
  const config = await configOf(paths, options, command);
  if (options.printConfig) {
    process.stdout.write(`${JSON.stringify(shownConfig(config), null, 2)}\n`);
    return;
  }
  // Imported here, so that `--help` and `--print-config` do not load the server.
  const { serve } = await import('../../server/serve.ts');
  waitAtMost(0);
  const asked = once(interruption(), 'abort');
  const { app, url, localUrl, healthUrl, stop } = await serve({ ...config, ...awsCredentials() });
  // A person who sees the log on a terminal reads the addresses below.
  if (!process.stderr.isTTY) app.log.info({ url, localUrl, healthUrl }, 'listening');
  process.stdout.write(`${url}\n`);
  if (healthUrl) process.stdout.write(`health: ${healthUrl}health\n`);
  if (process.stdout.isTTY) process.stdout.write('Open it in a browser. Ctrl-C stops.\n');
  waitAtMost(Number.POSITIVE_INFINITY);
  await asked;
  await stop();
}

/**
 * Settings of the command line, the environment and the file, in this order. Where they name nothing to
 * serve, it is the working directory.
 */
async function configOf(
  paths: readonly string[],
  options: Record<string, unknown>,
  command: Command,
): Promise<Config> {
  // Without its own defaults: commander sets `watch` to true because there is a `--no-watch`.
  const { model: models, ...flags } = Object.fromEntries(
    Object.entries(options).filter(([name]) => command.getOptionValueSource(name) === 'cli'),
  );
  for (const name of unknownVariables(process.env))
    process.emitWarning(`${name} is not a setting and is ignored`);
  const config = await readConfig(
    { ...flags, models, ...(paths.length > 0 && { roots: paths }) },
    process.env,
    options.config as string | undefined,
  );
  const isEmpty = config.roots.length === 0 && config.remotes.length === 0;
  return isEmpty ? { ...config, roots: ['.'] } : config;
}

function awsCredentials() {
  const { AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN } = process.env;
  if (!AWS_ACCESS_KEY_ID || !AWS_SECRET_ACCESS_KEY) return {};
  return {
    credentials: {
      accessKeyId: AWS_ACCESS_KEY_ID,
      secretAccessKey: AWS_SECRET_ACCESS_KEY,
      ...(AWS_SESSION_TOKEN && { sessionToken: AWS_SESSION_TOKEN }),
    },
  };
}
