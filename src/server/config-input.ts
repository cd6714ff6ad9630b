import type { EngineChoice } from '../engine/open-engine.ts';

/** The settings of `configSchema` as programs give them, in its words. What is left out has its default. */
export interface ConfigInput {
  /** Directories and files to serve. `liif serve` takes its arguments first; where there are no roots and no remotes, it serves the working directory. */
  readonly roots?: readonly string[] | undefined;
  /** Address to listen on; `0.0.0.0` for all. Default 127.0.0.1. */
  readonly host?: string | undefined;
  /** Port to listen on; 0 for any free one. Default 8080. */
  readonly port?: number | undefined;
  /** Port on which a thread of its own answers /health and /ready, however busy the event loop is; 0 for any free one. Opened by `serve`, not by `createApp`. */
  readonly healthPort?: number | undefined;
  /** URL that clients use, where a proxy stands before the server; otherwise the Host header is believed, if it is allowed. */
  readonly publicUrl?: string | undefined;
  /** Host names that are answered besides localhost, IP addresses and the name of this machine; `*` for all. */
  readonly allowedHosts?: readonly string[] | undefined;
  /** Believe X-Forwarded-Host and X-Forwarded-Proto, and for the log X-Forwarded-For. Default false. */
  readonly trustProxy?: boolean | undefined;
  /** Access-Control-Allow-Origin of all answers. Default *. */
  readonly allowOrigin?: string | undefined;
  /** Origins whose pages may show those of this server in frames, beside itself: `https://example.org`, `https://*.example.org`; `*` for all. */
  readonly frameAncestors?: readonly string[] | undefined;
  /** Notice added, changed and removed files. Default true. */
  readonly watch?: boolean | undefined;
  /** Serve PNG, JPEG, TIFF and WebP files too. Default true. */
  readonly plain?: boolean | undefined;
  /** Let clients encode images into the first directory. Default false. */
  readonly allowUpload?: boolean | undefined;
  /** Largest image that may be uploaded. Default 64. */
  readonly uploadMb?: number | undefined;
  /** Remote folders of .liif files as `NAME=https://host/path/` or `NAME=s3://bucket/path/`; nothing else is ever fetched. */
  readonly remotes?: readonly string[] | undefined;
  /** Address ranges (CIDR) that remotes may have although they are not public. */
  readonly allowAddresses?: readonly string[] | undefined;
  /** Endpoint of an S3 service that is not AWS, addressed by path. */
  readonly s3Endpoint?: string | undefined;
  /** Region of the S3 service. Keys come from AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY. Default us-east-1. */
  readonly s3Region?: string | undefined;
  /** Longest wait for an answer of a remote. Default 10000. */
  readonly remoteTimeoutMs?: number | undefined;
  /** How long a remote file is taken to be the same without asking. Default 60000. */
  readonly remoteFreshMs?: number | undefined;
  /** What computes the networks: webgpu, wasm, reference, or with auto the fastest here; `liif engines` lists them. Default auto. */
  readonly engine?: Exclude<EngineChoice, 'tensorflow'> | undefined;
  /** Threads of the engine. The default is one per processor, of a container as many as its quota is worth. */
  readonly threads?: number | undefined;
  /** Model files (weights of one’s own) that pictures may name, beside the released model; as a flag, one at a time. Each in use has an engine of its own. Uploads are encoded with the released model. */
  readonly models?: readonly string[] | undefined;
  /** Threads that hand images to their encoders, so that the event loop need not; 0: it does. The default is one for eight processors, none on fewer than four. */
  readonly encodingThreads?: number | undefined;
  /** Memory for decoded features. The default is a tenth of the machine or container, 64 to 2048. */
  readonly featureCacheMb?: number | undefined;
  /** Memory for decoded latents, from which features are computed again in half the time. 64 MB are those of 24 megapixels. Default 64. */
  readonly latentCacheMb?: number | undefined;
  /** Memory for native pixels, of which tiles at native scale and reductions are made: a twentieth of what their features take. 64 MB are 22 megapixels. Default 64. */
  readonly pixelCacheMb?: number | undefined;
  /** Memory for finished images. Default 128. */
  readonly tileCacheMb?: number | undefined;
  /** Memory for decoded plain images; as much more as a single one of them needs: 400 MB for 100 megapixels. Default 256. */
  readonly plainCacheMb?: number | undefined;
  /** Directory for finished images; several servers may share it, each with a bound of its own. */
  readonly diskCache?: string | undefined;
  /** Bound of what this server finds in that directory at the start, and what it puts there; other servers have theirs. Default 1024. */
  readonly diskCacheMb?: number | undefined;
  /** Redis for finished images of up to 1 MiB, shared by several servers. Goes before diskCache. */
  readonly redis?: string | undefined;
  /** How long an image stays in Redis. Default 604800. */
  readonly redisTtlSeconds?: number | undefined;
  /** Longest side of an IIIF image in pixels. Default 16384. */
  readonly maxOutputSide?: number | undefined;
  /** Most pixels of an IIIF image. Default 16777216. */
  readonly maxOutputArea?: number | undefined;
  /** Most pixels of a plain image that is served. Default 100000000. */
  readonly maxPlainPixels?: number | undefined;
  /** Most work of one request, in estimated milliseconds of a core; beyond it, 413. Default 120000. */
  readonly maxWork?: number | undefined;
  /** Memory that large images under way may need together, which decides how many run side by side; one that needs more before it is encoded gets 413. As much again is for plain images that are being decoded; one that needs more is decoded alone. Default 512. */
  readonly regionMemoryMb?: number | undefined;
  /** Tiles that may wait; beyond it, 503. Default 256. */
  readonly tileQueue?: number | undefined;
  /** Large images that may wait; beyond it, 503. Default 16. */
  readonly regionQueue?: number | undefined;
  /** Longest wait of a tile; one that would wait longer gets 503 at once. Large images may wait three times as long. Default 10000. */
  readonly maxWaitMs?: number | undefined;
  /** Longest turn of a busy event loop; while turns are longer and follow each other without pause, a part of all requests gets 503 before anything is done for them. Default 100. */
  readonly maxTurnMs?: number | undefined;
  /** Longest work for one request; beyond it, 503. Default 30000. */
  readonly timeoutMs?: number | undefined;
  /** How long running requests may take after a request to stop; then they get 503. Default 20000. */
  readonly stopMs?: number | undefined;
  /** Quality of JPEG answers. Default 85. */
  readonly jpegQuality?: number | undefined;
  /** Quality of WebP answers. Default 85. */
  readonly webpQuality?: number | undefined;
  /** Quality of AVIF answers. Default 60. */
  readonly avifQuality?: number | undefined;
  /** Serve /metrics. Default true. */
  readonly metrics?: boolean | undefined;
  /** What is logged: silent, fatal, error, warn, info, debug, trace; single requests are at debug, answers of 503 at warn, of 500, 501, 502 and 507 at error. Default info. */
  readonly logLevel?: 'silent' | 'fatal' | 'error' | 'warn' | 'info' | 'debug' | 'trace' | undefined;
}
