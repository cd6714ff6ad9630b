import { SourceError } from '../errors.ts';
import type { Source } from './source.ts';

export interface HttpSourceOptions {
  /** Instead of the global fetch, e.g. one with an allow-list. */
  readonly fetch?: typeof globalThis.fetch;
  readonly headers?: Readonly<Record<string, string>>;
  /** For one request, default 30 s. */
  readonly timeoutMs?: number;
  /** Further attempts after a network failure or a 5xx, default 2. */
  readonly retries?: number;
}

/** Servers that answer a range with the whole file are borne up to this size. */
const MAX_WHOLE_BYTES = 64 * 2 ** 20;

/** A file behind HTTP(S), read by ranges. The server must answer 206; whether the file changed meanwhile is told by ETag or Last-Modified. */
export function httpSource(url: string | URL, options: HttpSourceOptions = {}): Source {
  return new HttpSource(String(url), options);
}

class HttpSource implements Source {
  readonly name: string;
  readonly #options: HttpSourceOptions;
  #size: number | undefined;
  #validator: string | undefined;
  #whole: Uint8Array | undefined;

  constructor(url: string, options: HttpSourceOptions) {
    this.name = url;
    this.#options = options;
  }

  get size(): number | undefined {
    return this.#size;
  }

  async getBytes(offset: number, length: number, signal?: AbortSignal): Promise<Uint8Array> {
    if (this.#whole) return this.#whole.subarray(offset, offset + length);
    const wanted = this.#size === undefined ? length : Math.min(length, this.#size - offset);
    if (wanted <= 0) return new Uint8Array();
    const { retries = 2 } = this.#options;
    for (let attempt = 0; ; attempt++) {
      signal?.throwIfAborted();
      try {
        return await this.#request(offset, wanted, signal);
      } catch (error) {
        signal?.throwIfAborted();
        if (attempt >= retries || !(error instanceof Retryable)) {
          if (error instanceof SourceError) throw error;
          const cause = error instanceof Retryable ? error.cause : error;
          throw new SourceError(`${this.name}: ${(error as Error).message}`, { cause });
        }
        await new Promise((resolve) => setTimeout(resolve, 100 * 2 ** attempt));
      }
    }
  }

  async close(): Promise<void> {
    this.#whole = undefined;
  }

  async #request(offset: number, length: number, signal: AbortSignal | undefined): Promise<Uint8Array> {
    const { fetch = globalThis.fetch, headers, timeoutMs = 30_000 } = this.#options;
    const timeout = AbortSignal.timeout(timeoutMs);
    let response: Response;
    try {
      response = await fetch(this.name, {
        headers: {
          ...headers,
          range: `bytes=${offset}-${offset + length - 1}`,
          'accept-encoding': 'identity',
        },
        signal: signal ? AbortSignal.any([signal, timeout]) : timeout,
      });
      if (response.status === 206) return await this.#part(response, offset, length);
      if (response.status === 200) return await this.#wholeBody(response, offset, length);
    } catch (cause) {
      if (cause instanceof SourceError || cause instanceof Retryable) throw cause;
      if (timeout.aborted) throw new Retryable(`no answer within ${timeoutMs} ms`, { cause });
      throw new Retryable(messageOf(cause), { cause });
    }
    await response.body?.cancel();
    if (response.status >= 500) throw new Retryable(`the server answered ${response.status}`);
    throw new SourceError(`${this.name}: the server answered ${response.status}`);
  }

  async #part(response: Response, offset: number, length: number): Promise<Uint8Array> {
    const range = /^bytes (\d+)-(\d+)\/(\d+|\*)$/.exec(response.headers.get('content-range') ?? '');
    const last = Number(range?.[2]);
    if (!range || Number(range[1]) !== offset || last >= offset + length || last < offset) {
      await response.body?.cancel();
      throw new SourceError(`${this.name}: the server sent another range than was asked for`);
    }
    this.#checkUnchanged(response, range[3] === '*' ? undefined : Number(range[3]));
    const bytes = await readBody(response, last - offset + 1);
    if (bytes.length !== last - offset + 1) throw new Retryable('the body ended early');
    if (bytes.length < length && this.#size !== undefined && offset + bytes.length < this.#size)
      throw new SourceError(`${this.name}: the server sent fewer bytes than were asked for`);
    return bytes;
  }

  /** The server does not do ranges: its whole answer is kept, if it is small. */
  async #wholeBody(response: Response, offset: number, length: number): Promise<Uint8Array> {
    const size = Number(response.headers.get('content-length') ?? Number.NaN);
    if (!(size <= MAX_WHOLE_BYTES)) {
      await response.body?.cancel();
      throw new SourceError(
        `${this.name}: the server does not answer ranges, and the file is not known to be small`,
      );
    }
    this.#checkUnchanged(response, size);
    const bytes = await readBody(response, size);
    if (bytes.length !== size) throw new Retryable('the body ended early');
    this.#whole = bytes;
    return bytes.subarray(offset, offset + length);
  }

  #checkUnchanged(response: Response, size: number | undefined): void {
    const validator = response.headers.get('etag') ?? response.headers.get('last-modified') ?? '';
    this.#validator ??= validator;
    this.#size ??= size;
    if (validator !== this.#validator || (size !== undefined && size !== this.#size)) {
      response.body?.cancel().catch(() => {});
      throw new SourceError(`${this.name}: changed since it was opened`);
    }
  }
}

/** A failure that another attempt may mend. */
class Retryable extends Error {}

/** Reads at most `limit` bytes; what a server sends beyond them is an error of its own. */
async function readBody(response: Response, limit: number): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  let length = 0;
  if (response.body) {
    for await (const part of response.body as unknown as AsyncIterable<Uint8Array>) {
      length += part.length;
      if (length > limit)
        throw new SourceError(`${response.url}: the server sent more bytes than were asked for`);
      parts.push(part);
    }
  }
  const bytes = new Uint8Array(length);
  let offset = 0;
  for (const part of parts) {
    bytes.set(part, offset);
    offset += part.length;
  }
  return bytes;
}

function messageOf(error: unknown): string {
  const { message, cause } = error as Error;
  return cause instanceof Error && cause.message ? `${message} (${cause.message})` : message;
}
