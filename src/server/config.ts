import { isIP } from 'node:net';
import { totalmem } from 'node:os';
import { z } from 'zod';
import { ENGINE_CHOICES } from '../engine/open-engine.ts';
import { processors } from '../engine/processors.ts';
import { RequestError } from '../errors.ts';

export type { ConfigInput } from './config-input.ts';

/** Words for true and false in flags and the environment. */
const WORDS: Readonly<Record<string, boolean>> = {
  true: true,
  '1': true,
  yes: true,
  on: true,
  false: false,
  '0': false,
  no: false,
  off: false,
};
const flag = z.preprocess(
  (value) => (typeof value === 'string' ? (WORDS[value.toLowerCase()] ?? value) : value),
  z.boolean({ error: ({ input }) => `expected true or false but received ${JSON.stringify(input)}` }),
);
const whole = (low: number, high: number) => {
  const error = ({ input }: { readonly input?: unknown }) =>
    `expected a whole number from ${low} to ${high} but received ${JSON.stringify(input)}`;
  return z.preprocess(
    (value) => (typeof value === 'string' && /^\d+$/.test(value) ? Number(value) : value),
    z.number({ error }).int({ error }).min(low, { error }).max(high, { error }),
  );
};
/** Its error leaves out the value, which may hold a password. */
const httpUrl = () =>
  z.url({ protocol: /^https?$/, error: 'expected a URL that begins with http:// or https://' });
/** The items of a flag or variable, which have commas between them. */
export function listed(text: string): string[] {
  return text
    .split(',')
    .map((item) => item.trim())
    .filter(Boolean);
}
const listOf = <T extends z.ZodType>(items: z.ZodArray<T>) =>
  z.preprocess((value) => (typeof value === 'string' ? listed(value) : value), items);
const list = listOf(z.array(z.string().min(1).max(2048)).max(1000));

function isHostName(name: string): boolean {
  return name === '*' || isIP(name.replace(/^\[|\]$/g, '')) !== 0 || !/[\s:/*]/.test(name);
}

const PROCESSORS = processors();

/**
 * Bytes that this process may use: those of the machine or of its container. Node says 0 for a container
 * without a limit.
 */
const memory = Math.min(totalmem(), process.constrainedMemory() || Number.POSITIVE_INFINITY);

/** Engines that give the same tiles on every server. */
const ENGINES = ENGINE_CHOICES.filter((name) => name !== 'auto' && name !== 'tensorflow');
const LOG_LEVELS = ['silent', 'fatal', 'error', 'warn', 'info', 'debug', 'trace'] as const;

/** A tenth of the memory, between 64 and 2048 MB. */
const FEATURE_CACHE_MB = Math.round(Math.min(2048, Math.max(64, memory / 2 ** 20 / 10)));

/**
 * A tile takes one of these threads 0.2 to 0.4 ms, and eight processors make 1000 tiles a second at best. On
 * fewer than four the event loop is not the bottleneck: on two, such a thread made a lone client's tiles 5 to
 * 25 % slower and nothing faster.
 */
const ENCODING_THREADS = PROCESSORS < 4 ? 0 : Math.ceil(PROCESSORS / 8);

/**
 * All settings of the server: the one place that names, checks and documents them. `tileCacheMb` is the flag
 * `--tile-cache-mb`, the variable LIIF_TILE_CACHE_MB, and `tileCacheMb` in a file and in `createApp`. The
 * flag of `models` is `--model`, as with the other commands, and `roots` are the arguments of the command
 * line.
 */
export const configSchema = z.strictObject({
  roots: listOf(z.array(z.string().min(1, 'expected paths of directories and files but received ""')))
    .default([])
    .describe(
      'Directories and files to serve. Arguments of `liif serve` replace them; without any roots and remotes it serves the working directory.',
    ),
  host: z.string().min(1).default('127.0.0.1').describe('Address to listen on; `0.0.0.0` for all.'),
  port: whole(0, 65_535).default(8080).describe('Port to listen on; 0 for any free one.'),
  healthPort: whole(0, 65_535)
    .optional()
    .describe(
      'Second port for /health and /ready, which a thread of its own answers even while the event loop is busy; 0 for any free one. `serve` opens it, `createApp` does not.',
    ),
  publicUrl: httpUrl()
    .refine((url) => !/[?#@]/.test(url), 'expected a URL without query, fragment and credentials')
    .optional()
    .describe(
      'URL of this server as clients see it, for servers behind a proxy. Without it, addresses in answers follow the Host header.',
    ),
  allowedHosts: list
    .refine((names) => names.every(isHostName), {
      error: ({ input }) =>
        `expected names of hosts, without scheme, port and path, or * for all, but received ${JSON.stringify((input as string[]).find((name) => !isHostName(name)))}`,
    })
    .default([])
    .describe(
      'Host names to answer for, besides localhost, IP addresses and the name of this machine; `*` for all.',
    ),
  trustProxy: flag
    .default(false)
    .describe(
      'Believe the headers of a proxy: X-Forwarded-Host and X-Forwarded-Proto for addresses, X-Forwarded-For for the log.',
    ),
  allowOrigin: z
    .string()
    .regex(/^(\*|https?:\/\/[^\s,]+)$/, 'expected * or an origin')
    .default('*')
    .describe('Access-Control-Allow-Origin of all answers.'),
  frameAncestors: listOf(
    z
      .array(
        z
          .string()
          .regex(/^(\*|https?:\/\/[\w.*:[\]-]+)$/, 'expected *, or origins such as https://example.org'),
      )
      .max(100),
  )
    .default([])
    .describe(
      'Other origins whose pages may show the viewer in a frame: `https://example.org`, `https://*.example.org`; `*` for all.',
    ),
  watch: flag.default(true).describe('Notice added, changed and removed files.'),
  plain: flag.default(true).describe('Serve PNG, JPEG, TIFF and WebP files too.'),
  allowUpload: flag
    .default(false)
    .describe('Let clients upload images, which are encoded into the first directory.'),
  uploadMb: whole(1, 4096).default(64).describe('Largest upload, in MB.'),
  remotes: list
    .default([])
    .describe(
      'Remote folders of .liif files: `NAME=https://host/path/` or `NAME=s3://bucket/path/`. Nothing else is ever fetched.',
    ),
  allowAddresses: list.default([]).describe('Private address ranges (CIDR) in which remotes may be.'),
  s3Endpoint: httpUrl()
    .optional()
    .describe('Endpoint of an S3 service other than AWS; the bucket goes into the path.'),
  s3Region: z
    .string()
    .default('us-east-1')
    .describe('Region of the S3 service. Keys come from AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY.'),
  remoteTimeoutMs: whole(100, 600_000).default(10_000).describe('Longest wait for a remote to answer.'),
  remoteFreshMs: whole(0, 86_400_000)
    .default(60_000)
    .describe('How long a remote file is used before the server asks whether it has changed.'),
  engine: z
    .enum(ENGINE_CHOICES)
    .refine(
      (engine) => engine !== 'tensorflow',
      'tensorflow is not exact, and tiles are the same on every server',
    )
    .default('auto')
    .describe(
      `What computes the networks: ${ENGINES.join(', ')}, or auto for the fastest here. \`liif engines\` lists them.`,
    ),
  threads: whole(1, 256)
    .default(PROCESSORS)
    .describe(
      'Threads of the engine. The default is one per processor, or as many as the quota of a container allows.',
    ),
  models: list
    .default([])
    .describe(
      'Model files (your own weights) that pictures may name besides the released model. The flag takes one file and may be repeated.',
    ),
  encodingThreads: whole(0, 64)
    .default(ENCODING_THREADS)
    .describe(
      'Threads that hand images to their encoders; with 0 the event loop does it. The default is one per eight processors, none on fewer than four.',
    ),
  featureCacheMb: whole(0, 65_536)
    .default(FEATURE_CACHE_MB)
    .describe(
      'Memory for decoded features. The default is a tenth of the memory of the machine or container, between 64 and 2048.',
    ),
  latentCacheMb: whole(0, 65_536)
    .default(64)
    .describe(
      'Memory for decoded latents, with which features are computed again in half the time. 64 MB hold 24 megapixels.',
    ),
  pixelCacheMb: whole(0, 65_536)
    .default(64)
    .describe(
      'Memory for native pixels, from which tiles at native scale and below are made. 64 MB hold 22 megapixels, whose features take twenty times as much.',
    ),
  tileCacheMb: whole(0, 65_536).default(128).describe('Memory for finished images.'),
  plainCacheMb: whole(0, 65_536)
    .default(256)
    .describe(
      'Memory for decoded plain images. A single image is kept even if it needs more: 100 megapixels take 400 MB.',
    ),
  diskCache: z
    .string()
    .min(1)
    .optional()
    .describe('Directory for finished images. Several servers may share it.'),
  diskCacheMb: whole(1, 2 ** 30)
    .default(1024)
    .describe(
      'Largest size in MB to which this server fills `diskCache`, with what it finds at the start and what it adds. Other servers have limits of their own.',
    ),
  redis: z
    .url({ protocol: /^rediss?$/, error: 'expected a URL that begins with redis:// or rediss://' })
    .optional()
    .describe(
      'Redis for finished images of up to 1 MiB, shared by several servers. It is asked before `diskCache`.',
    ),
  redisTtlSeconds: whole(1, 2 ** 31)
    .default(604_800)
    .describe('How long an image stays in Redis.'),
  maxOutputSide: whole(256, 65_535).default(16_384).describe('Longest side of an IIIF image in pixels.'),
  maxOutputArea: whole(65_536, 2 ** 30)
    .default(2 ** 24)
    .describe('Largest number of pixels of an IIIF image.'),
  maxPlainPixels: whole(1, 2 ** 30)
    .default(100_000_000)
    .describe('Largest number of pixels of a plain image that is served.'),
  maxWork: whole(1000, 2 ** 31)
    .default(120_000)
    .describe(
      'Largest work for one request, in estimated milliseconds of one core; a request that needs more gets 413.',
    ),
  regionMemoryMb: whole(16, 65_536)
    .default(512)
    .describe(
      'Memory for the pixels of all large images in progress. An image that needs more gets 413. As much again is for decoding plain images; one that needs more is decoded alone.',
    ),
  tileQueue: whole(1, 100_000).default(256).describe('How many tiles may wait; further ones get 503.'),
  regionQueue: whole(1, 10_000).default(16).describe('How many large images may wait; further ones get 503.'),
  maxWaitMs: whole(10, 600_000)
    .default(10_000)
    .describe(
      'Longest wait of a tile. One that would wait longer gets 503 at once. Large images may wait three times as long.',
    ),
  maxTurnMs: whole(1, 60_000)
    .default(100)
    .describe(
      'Longest turn of a busy event loop. While turns are longer and leave no pause, some requests get 503 before any work.',
    ),
  timeoutMs: whole(100, 3_600_000)
    .default(30_000)
    .describe('How long the work for one request may take; after that it gets 503.'),
  stopMs: whole(0, 600_000)
    .default(20_000)
    .describe('How long running requests may go on when the server stops; after that they get 503.'),
  jpegQuality: whole(1, 100).default(85).describe('Quality of JPEG answers.'),
  webpQuality: whole(1, 100).default(85).describe('Quality of WebP answers.'),
  avifQuality: whole(1, 100).default(60).describe('Quality of AVIF answers.'),
  metrics: flag.default(true).describe('Serve /metrics.'),
  logLevel: z
    .enum(LOG_LEVELS)
    .default('info')
    .describe(
      `Lowest level that is logged: ${LOG_LEVELS.join(', ')}. Single requests are at debug, answers of 503 at warn, all others from 500 on at error.`,
    ),
});

/** Settings whose default depends on the machine. */
export const DEFAULTS_OF_MACHINES: readonly (keyof Config)[] = [
  'threads',
  'encodingThreads',
  'featureCacheMb',
];

/** The schema, with the conditions between settings. */
const checkedSchema = configSchema.refine(({ port, healthPort }) => port === 0 || port !== healthPort, {
  path: ['healthPort'],
  error: 'is the same as port, and each listens on its own',
});

/** Settings that have been checked, defaults included. */
export type Config = z.output<typeof configSchema>;

/**
 * Checks settings and fills in defaults. `sources`: where each comes from. Throws RequestError, which names
 * all that are wrong.
 */
export function checkConfig(input: object, sources: Readonly<Record<string, string>> = {}): Config {
  const checked = checkedSchema.safeParse(input);
  if (checked.success) return checked.data;
  const wrong = checked.error.issues.map(({ path, message }) => {
    const source = sources[String(path[0])];
    return `${path.length > 0 ? `setting ${path.join('.')}` : 'settings'}: ${message}${source === undefined ? '' : ` (${source})`}`;
  });
  throw new RequestError(wrong.join('; '), { cause: checked.error });
}
