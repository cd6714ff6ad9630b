import { type Config, configSchema, DEFAULTS_OF_MACHINES } from './config.ts';

/** What the command line, the environment and documents call a setting, and say of it. */
export interface Setting {
  readonly name: keyof Config;
  readonly flag: string;
  readonly variable: string;
  readonly description: string;
  readonly default: unknown;
  /** Whether the flag needs no value, and has a second form that begins with `--no-`. */
  readonly boolean: boolean;
  /**
   * For lists. The flag may be repeated and takes `several` items, with commas between them, or `one`;
   * `arguments` of the command line have no flag. Undefined for other settings.
   */
  readonly items: 'several' | 'one' | 'arguments' | undefined;
}

/** Lists that are no flags of several items on the command line. */
const LISTS: { readonly [Name in keyof Config]?: Pick<Setting, 'flag' | 'items'> } = {
  models: { flag: '--model', items: 'one' },
  roots: { flag: 'PATH...', items: 'arguments' },
};

/** All settings with their names, from the schema. */
export function settings(): Setting[] {
  return (Object.keys(configSchema.shape) as (keyof Config)[]).map((name) => {
    const words = name.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
    const field = configSchema.shape[name];
    const fallback: unknown = field.safeParse(undefined).data;
    return {
      name,
      flag: `--${words}`,
      variable: `LIIF_${words.toUpperCase().replaceAll('-', '_')}`,
      description: field.description ?? '',
      default: fallback,
      boolean: typeof fallback === 'boolean',
      items: Array.isArray(fallback) ? 'several' : undefined,
      ...LISTS[name],
    };
  });
}

/** The table of the README. */
export function configTable(): string {
  const rows = settings().map(({ name, flag, variable, description, default: fallback }) => {
    const shown =
      fallback === undefined || DEFAULTS_OF_MACHINES.includes(name) ? '' : `\`${JSON.stringify(fallback)}\``;
    return `| \`${name}\` | \`${flag}\` | \`${variable}\` | ${shown} | ${description.replaceAll('|', '\\|')} |`;
  });
  return ['| setting | flag | environment | default | |', '|---|---|---|---|---|', ...rows].join('\n');
}

/** Settings as they may be shown: passwords in URLs are `***`. */
export function shownConfig(config: Config): Record<string, unknown> {
  const masked = (value: unknown): unknown => {
    if (Array.isArray(value)) return value.map(masked);
    return typeof value === 'string' ? value.replace(/(:\/\/[^/?#]*?:)[^/?#]*@/g, '$1***@') : value;
  };
  return Object.fromEntries(Object.entries(config).map(([name, value]) => [name, masked(value)]));
}
