import type { EngineChoice } from '../engine/open-engine.ts';

/** The settings of `configSchema` as programs give them, in its words. What is left out has its default. */
export interface ConfigInput {
  /**
   * Directories and files to serve. Arguments of `liif serve` replace them; without any roots and remotes it
   * serves the working directory.
   */
  readonly roots?: readonly string[] | undefined;
  /** Address to listen on; `0.0.0.0` for all. Default 127.0.0.1. */
  readonly host?: string | undefined;
  /** Port to listen on; 0 for any free one. Default 8080. */
  readonly port?: number | undefined;
  /**
   * Second port for /health and /ready, which a thread of its own answers even while the event loop is busy;
   * 0 for any free one. `serve` opens it, `createApp` does not.
   */
  readonly healthPort?: number | undefined;
  /**
   * URL of this server as clients see it, for servers behind a proxy. Without it, addresses in answers follow
   * the Host header.
   */
  readonly publicUrl?: string | undefined;
  /** Host names to answer for, besides localhost, IP addresses and the name of this machine; `*` for all. */
  readonly allowedHosts?: readonly string[] | undefined;
  /**
   * Believe the headers of a proxy: X-Forwarded-Host and X-Forwarded-Proto for addresses, X-Forwarded-For for
   * the log. Default false.
   */
  readonly trustProxy?: boolean | undefined;
  /** Access-Control-Allow-Origin of all answers. Default *. */
  readonly allowOrigin?: string | undefined;
  /**
   * Other origins whose pages may show the viewer in a frame: `https://example.org`, `https://*.example.org`;
   * `*` for all.
   */
  readonly frameAncestors?: readonly string[] | undefined;
  /** Notice added, changed and removed files. Default true. */
  readonly watch?: boolean | undefined;
  /** Serve PNG, JPEG, TIFF and WebP files too. Default true. */
  readonly plain?: boolean | undefined;
  /** Let clients upload images, which are encoded into the first directory. Default false. */
  readonly allowUpload?: boolean | undefined;
  /** Largest upload, in MB. Default 64. */
  readonly uploadMb?: number | undefined;
  /**
   * Remote folders of .liif files: `NAME=https://host/path/` or `NAME=s3://bucket/path/`. Nothing else is
   * ever fetched.
   */
  readonly remotes?: readonly string[] | undefined;
  /** Private address ranges (CIDR) in which remotes may be. */
  readonly allowAddresses?: readonly string[] | undefined;
  /** Endpoint of an S3 service other than AWS; the bucket goes into the path. */
  readonly s3Endpoint?: string | undefined;
  /**
   * Region of the S3 service. Keys come from AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY. Default us-east-1.
   */
  readonly s3Region?: string | undefined;
  /** Longest wait for a remote to answer. Default 10000. */
  readonly remoteTimeoutMs?: number | undefined;
  /** How long a remote file is used before the server asks whether it has changed. Default 60000. */
  readonly remoteFreshMs?: number | undefined;
  /**
   * What computes the networks: webgpu, wasm, reference, or auto for the fastest here. `liif engines` lists
   * them. Default auto.
   */
  readonly engine?: Exclude<EngineChoice, 'tensorflow'> | undefined;
  /**
   * Threads of the engine. The default is one per processor, or as many as the quota of a container allows.
   */
  readonly threads?: number | undefined;
  /**
   * Model files (your own weights) that pictures may name besides the released model. The flag takes one file
   * and may be repeated.
   */
  readonly models?: readonly string[] | undefined;
  /**
   * Threads that hand images to their encoders; with 0 the event loop does it. The default is one per eight
   * processors, none on fewer than four.
   */
  readonly encodingThreads?: number | undefined;
  /**
   * Memory for decoded features. The default is a tenth of the memory of the machine or container, between 64
   * and 2048.
   */
  readonly featureCacheMb?: number | undefined;
  /**
   * Memory for decoded latents, with which features are computed again in half the time. 64 MB hold 24
   * megapixels. Default 64.
   */
  readonly latentCacheMb?: number | undefined;
  /**
   * Memory for native pixels, from which tiles at native scale and below are made. 64 MB hold 22 megapixels,
   * whose features take twenty times as much. Default 64.
   */
  readonly pixelCacheMb?: number | undefined;
  /** Memory for finished images. Default 128. */
  readonly tileCacheMb?: number | undefined;
  /**
   * Memory for decoded plain images. A single image is kept even if it needs more: 100 megapixels take 400
   * MB. Default 256.
   */
  readonly plainCacheMb?: number | undefined;
  /** Directory for finished images. Several servers may share it. */
  readonly diskCache?: string | undefined;
  /**
   * Largest size in MB to which this server fills `diskCache`, with what it finds at the start and what it
   * adds. Other servers have limits of their own. Default 1024.
   */
  readonly diskCacheMb?: number | undefined;
  /** Redis for finished images of up to 1 MiB, shared by several servers. It is asked before `diskCache`. */
  readonly redis?: string | undefined;
  /** How long an image stays in Redis. Default 604800. */
  readonly redisTtlSeconds?: number | undefined;
  /** Longest side of an IIIF image in pixels. Default 16384. */
  readonly maxOutputSide?: number | undefined;
  /** Largest number of pixels of an IIIF image. Default 16777216. */
  readonly maxOutputArea?: number | undefined;
  /** Largest number of pixels of a plain image that is served. Default 100000000. */
  readonly maxPlainPixels?: number | undefined;
  /**
   * Largest work for one request, in estimated milliseconds of one core; a request that needs more gets 413.
   * Default 120000.
   */
  readonly maxWork?: number | undefined;
  /**
   * Memory for the pixels of all large images in progress. An image that needs more gets 413. As much again
   * is for decoding plain images; one that needs more is decoded alone. Default 512.
   */
  readonly regionMemoryMb?: number | undefined;
  /** How many tiles may wait; further ones get 503. Default 256. */
  readonly tileQueue?: number | undefined;
  /** How many large images may wait; further ones get 503. Default 16. */
  readonly regionQueue?: number | undefined;
  /**
   * Longest wait of a tile. One that would wait longer gets 503 at once. Large images may wait three times as
   * long. Default 10000.
   */
  readonly maxWaitMs?: number | undefined;
  /**
   * Longest turn of a busy event loop. While turns are longer and leave no pause, some requests get 503
   * before any work. Default 100.
   */
  readonly maxTurnMs?: number | undefined;
  /** How long the work for one request may take; after that it gets 503. Default 30000. */
  readonly timeoutMs?: number | undefined;
  /** How long running requests may go on when the server stops; after that they get 503. Default 20000. */
  readonly stopMs?: number | undefined;
  /** Quality of JPEG answers. Default 85. */
  readonly jpegQuality?: number | undefined;
  /** Quality of WebP answers. Default 85. */
  readonly webpQuality?: number | undefined;
  /** Quality of AVIF answers. Default 60. */
  readonly avifQuality?: number | undefined;
  /** Serve /metrics. Default true. */
  readonly metrics?: boolean | undefined;
  /**
   * Lowest level that is logged: silent, fatal, error, warn, info, debug, trace. Single requests are at
   * debug, answers of 503 at warn, all others from 500 on at error. Default info.
   */
  readonly logLevel?: 'silent' | 'fatal' | 'error' | 'warn' | 'info' | 'debug' | 'trace' | undefined;
}
