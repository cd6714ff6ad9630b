import type { Command, Option } from 'commander';

/** Makes the help of a command look like that of all others. */
export function styleHelp(command: Command): Command {
  return command
    .helpOption('-h, --help', 'print this help')
    .configureHelp({ optionDescription, subcommandTerm: (subcommand) => subcommand.name() });
}

/**
 * The description of an option, its choices and its default: `image format (png, jpeg; default: png)`.
 * Choices that the placeholder names, as in `<2|4>`, are not repeated. `option.default(undefined, text)`
 * documents a default that is computed later.
 */
function optionDescription(option: Option): string {
  const { description, defaultValue, defaultValueDescription, argChoices = [], flags } = option;
  const facts = flags.includes('|') || argChoices.length === 0 ? [] : [argChoices.join(', ')];
  const isDocumented = defaultValue !== undefined && !option.isBoolean();
  const fallback = defaultValueDescription ?? (isDocumented ? String(defaultValue) : undefined);
  if (fallback !== undefined) facts.push(`default: ${fallback}`);
  return facts.length === 0 ? description : `${description} (${facts.join('; ')})`;
}
