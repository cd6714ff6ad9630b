import { readFile } from 'node:fs/promises';
import { describe, expect, expectTypeOf, it, vi } from 'vitest';
import { RequestError } from '../../src/errors.ts';
import { createApp } from '../../src/server/app.ts';
import {
  type Config,
  type ConfigInput,
  configSchema,
  DEFAULTS_OF_MACHINES,
} from '../../src/server/config.ts';
import { Remotes } from '../../src/server/pictures/remotes.ts';
import { readConfig } from '../../src/server/read-config.ts';
import { configTable, settings, shownConfig } from '../../src/server/settings.ts';
import { directoryOf } from './server-fixture.ts';

describe('settings', () => {
  it('come from a file, the environment and flags, the later ones first', async () => {
    const directory = await directoryOf({
      'liif.json': JSON.stringify({ port: 1, tileQueue: 1, jpegQuality: 1, allowedHosts: ['a', 'b'] }),
    });
    const config = await readConfig(
      { port: '3' },
      {
        LIIF_PORT: '2',
        LIIF_TILE_QUEUE: '2',
        LIIF_WATCH: 'false',
        LIIF_REMOTES: 'a=http://h/, b=s3://c/',
        LIIF_MODELS: 'a.st,b.st',
        LIIF_ROOTS: 'photos, maps/a.liif',
      },
      `${directory}/liif.json`,
    );
    expect(config).toMatchObject({
      port: 3,
      tileQueue: 2,
      jpegQuality: 1,
      watch: false,
      allowedHosts: ['a', 'b'],
      remotes: ['a=http://h/', 'b=s3://c/'],
      models: ['a.st', 'b.st'],
      roots: ['photos', 'maps/a.liif'],
      host: '127.0.0.1',
    });
  });

  it('say that roots are a list, to programs that TypeScript does not check', async () => {
    for (const roots of ['photos', undefined])
      await expect(createApp({ roots } as never)).rejects.toThrow(RequestError);
    await expect(createApp({ roots: 'photos' } as never)).rejects.toThrow(/list .* received String/);
    for (const [options, message] of [
      [undefined, 'options: expected an object but received undefined'],
      [{ roots: [5] }, 'roots: expected paths of directories and files but received 5'],
      [{ roots: [new URL('file:///tmp')] }, 'but received URL'],
      [{ roots: ['.'], openEngine: 5 }, 'openEngine: expected a function but received 5'],
    ] as const)
      await expect(createApp(options as never)).rejects.toThrow(message);
  });

  it.each([
    [{ port: '70000' }, /port/],
    [{ port: 'NaN' }, /port/],
    [{ tileCacheMb: '-1' }, /tileCacheMb/],
    [{ watch: 'perhaps' }, /watch/],
    [{ engine: 'steam' }, /engine/],
    [{ engine: 'tensorflow' }, /engine.*not exact/],
    [{ redis: 'http://localhost' }, /redis/],
    [{ publicUrl: 'javascript:alert(1)' }, /publicUrl/],
    [{ publicUrl: 'https://example.org/?a=1' }, /publicUrl/],
    [{ publicUrl: 'https://example.org/#a' }, /publicUrl/],
    [{ publicUrl: 'https://me:secret@example.org/' }, /publicUrl/],
    [{ logLevel: 'loud' }, /logLevel/],
    [{ port: '9000', healthPort: '9000' }, /setting healthPort: .*same as port/],
    [{ healthPort: '8080' }, /setting healthPort: .*same as port/],
  ])('%j is refused by name', async (flags, message) => {
    await expect(readConfig(flags)).rejects.toThrow(message);
    await expect(readConfig(flags)).rejects.toBeInstanceOf(RequestError);
  });

  it.each([
    [
      { tileCacheMb: '1.5' },
      'setting tileCacheMb: expected a whole number from 0 to 65536 but received "1.5" (--tile-cache-mb)',
    ],
    [
      { publicUrl: 'ftp://example.org/' },
      'setting publicUrl: expected a URL that begins with http:// or https:// (--public-url)',
    ],
    [
      { watch: 'perhaps', port: '8080s' },
      'setting port: expected a whole number from 0 to 65535 but received "8080s" (--port); setting watch: expected true or false but received "perhaps" (--watch)',
    ],
    [
      { allowedHosts: 'a.example,https://b.example' },
      'setting allowedHosts: expected names of hosts, without scheme, port and path, or * for all, but received "https://b.example" (--allowed-hosts)',
    ],
    [{ allowedHosts: 'a.example:8080' }, /received "a.example:8080"/],
    [{ allowedHosts: '*.example' }, /received "\*.example"/],
  ])('%j is refused with its value, and with all others that are wrong', async (flags, message) => {
    await expect(readConfig(flags)).rejects.toThrow(message);
  });

  it('that are wrong are told with the variable or file that they come from', async () => {
    const directory = await directoryOf({ 'a.json': '{"stopMs": -1, "port": 1}' });
    await expect(readConfig({}, { LIIF_TIMEOUT_MS: '30s' }, `${directory}/a.json`)).rejects.toThrow(
      `setting timeoutMs: expected a whole number from 100 to 3600000 but received "30s" (LIIF_TIMEOUT_MS); setting stopMs: expected a whole number from 0 to 600000 but received -1 (${directory}/a.json)`,
    );
  });

  it('take the words that people write, and files of editors that begin with a mark', async () => {
    const directory = await directoryOf({ 'a.json': '\uFEFF{"port": 5}' });
    const config = await readConfig(
      { allowedHosts: '*,a.example,::1,[::1],192.0.2.1' },
      { LIIF_WATCH: 'off', LIIF_ALLOW_UPLOAD: 'Yes' },
      `${directory}/a.json`,
    );
    expect(config).toMatchObject({ port: 5, watch: false, allowUpload: true });
  });

  it('are shown without passwords', async () => {
    const flags = {
      redis: 'rediss://cache:hush@redis.example:6379/1',
      remotes: 'a=https://me:hush@h/,b=https://h:80/x@y/',
      s3Endpoint: 'http://:hush@s3.example',
    };
    expect(shownConfig(await readConfig(flags))).toMatchObject({
      redis: 'rediss://cache:***@redis.example:6379/1',
      remotes: ['a=https://me:***@h/', 'b=https://h:80/x@y/'],
      s3Endpoint: 'http://:***@s3.example',
      port: 8080,
      watch: true,
    });
  });

  it.each([
    [{ remotes: 'photos=https://me:hush@example.org/' }, /^remote photos: .*password/],
    [{ remotes: 'photos=https://me:hush@:x' }, /^remote photos: its address is not a URL$/],
    [{ remotes: 'a=http://h/,https://me:hush@example.org/' }, /^remotes: number 2 is not NAME=/],
    [
      { remotes: 'photos=s3://b/', s3Endpoint: 'http://me:hush@s3.example' },
      /^setting s3Endpoint: .*password/,
    ],
  ])('%j is refused without repeating the address', async (flags, message) => {
    const config = await readConfig(flags);
    let said = '';
    try {
      new Remotes(config);
    } catch (error) {
      expect(error).toBeInstanceOf(RequestError);
      for (let at = error as Error | undefined; at; at = at.cause as Error | undefined) said += at.message;
    }
    expect(said).toMatch(message);
    expect(said).not.toContain('hush');
  });

  it('may leave both ports to the system', async () => {
    expect(await readConfig({ port: '0', healthPort: '0' })).toMatchObject({ port: 0, healthPort: 0 });
  });

  it('of an unknown name, or a file that is none, are refused', async () => {
    const directory = await directoryOf({ 'a.json': '{"prot": 1}', 'b.json': '[', 'c.json': '[]' });
    for (const [name, message] of [
      ['a', /prot/],
      ['b', /b\.json/],
      ['c', /object/],
      ['d', /d\.json/],
    ] as const)
      await expect(readConfig({}, {}, `${directory}/${name}.json`)).rejects.toThrow(message);
  });

  it('keep features within the memory of a container', async () => {
    const featuresOf = async (limit: number) => {
      vi.resetModules();
      const constrained = vi.spyOn(process, 'constrainedMemory').mockReturnValue(limit);
      const { readConfig } = await import('../../src/server/read-config.ts');
      constrained.mockRestore();
      return (await readConfig({}, {})).featureCacheMb;
    };
    expect(await featuresOf(2 ** 30)).toBe(102);
    expect(await featuresOf(2 ** 20)).toBe(64);
    // No limit, as systems say it.
    expect(await featuresOf(0)).toBe(await featuresOf(2 ** 64));
  });

  it('that are one of several words name them, and none that is refused', async () => {
    const described = (of: string) => settings().find(({ name }) => name === of)!.description;
    for (const engine of ['webgpu', 'wasm', 'reference', 'auto']) {
      expect(described('engine')).toContain(engine);
      expect((await readConfig({ engine })).engine).toBe(engine);
    }
    expect(described('engine')).not.toContain('tensorflow');
    expect(described('logLevel')).toContain('silent, fatal, error, warn, info, debug, trace');
  });

  it('are all documented in the README, which has the table of the schema', async () => {
    const readme = await readFile(new URL('../../src/server/README.md', import.meta.url), 'utf8');
    expect(readme).toContain(configTable());
    for (const { description, flag, variable } of settings()) {
      expect(description.length).toBeGreaterThan(10);
      expect(flag).toMatch(/^(--[a-z0-9-]+|PATH\.\.\.)$/);
      expect(variable).toMatch(/^LIIF_[A-Z0-9_]+$/);
    }
  });

  it('are an interface with the same words', async () => {
    await expect(inputInterface()).toMatchFileSnapshot('../../src/server/config-input.ts');
    expectTypeOf<Config>().toExtend<ConfigInput>();
    expectTypeOf<keyof ConfigInput>().toEqualTypeOf<keyof Config>();
  });
});

/**
 * The settings as an interface, so that editors show their words: `npm test -- test/server/config.test.ts -u`
 * writes it anew.
 */
function inputInterface(): string {
  const types: Partial<Record<keyof Config, string>> = {
    engine: "Exclude<EngineChoice, 'tensorflow'>",
    healthPort: 'number',
    logLevel: configSchema.shape.logLevel
      .unwrap()
      .options.map((level) => `'${level}'`)
      .join(' | '),
  };
  const lines = settings().flatMap(({ name, description, default: fallback, boolean, items }) => {
    const type =
      types[name] ??
      (boolean
        ? 'boolean'
        : items
          ? 'readonly string[]'
          : typeof fallback === 'number'
            ? 'number'
            : 'string');
    const stated =
      fallback === undefined || items || DEFAULTS_OF_MACHINES.includes(name) ? '' : ` Default ${fallback}.`;
    return [...commentOf(`${description}${stated}`), `  readonly ${name}?: ${type} | undefined;`];
  });
  return [
    "import type { EngineChoice } from '../engine/open-engine.ts';",
    '',
    '/** The settings of `configSchema` as programs give them, in its words. What is left out has its default. */',
    'export interface ConfigInput {',
    ...lines,
    '}',
    '',
  ].join('\n');
}

/** A comment of a member, whose lines are no wider than code. */
function commentOf(text: string): string[] {
  const width = 110;
  const short = `  /** ${text} */`;
  if (short.length <= width) return [short];
  const lines: string[] = [];
  for (const word of text.match(/(?:`[^`]*`|[^\s`])+/g)!) {
    const longer = lines.length === 0 ? undefined : `${lines.at(-1)} ${word}`;
    if (longer !== undefined && longer.length <= width) lines[lines.length - 1] = longer;
    else lines.push(`   * ${word}`);
  }
  return ['  /**', ...lines, '   */'];
}
