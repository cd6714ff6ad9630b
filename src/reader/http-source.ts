import { SourceError, type SourceFault } from '../errors.ts';
import { joinBytes } from '../join-bytes.ts';
import { onAbort, unlessAborted } from '../on-abort.ts';
import type { Source } from './source.ts';

/** How a file is read over HTTP. */
export interface HttpSourceOptions {
  /** Used instead of the global fetch, e.g. one with an allow-list. */
  readonly fetch?: typeof globalThis.fetch;
  /** Headers of every request, e.g. `authorization`. */
  readonly headers?: Readonly<Record<string, string>>;
  /**
   * Milliseconds until an answer must begin. Default 30,000. Its body may then take as long again, and 1 ms
   * more for every 16 bytes that arrive.
   */
  readonly timeoutMs?: number;
  /** Further attempts after a network failure, a 5xx, 408 or 429. Default 2. */
  readonly retries?: number;
}

/** Largest file that is accepted from a server that answers a range with the whole file. */
const MAX_WHOLE_BYTES = 64 * 2 ** 20;
/**
 * A server may send less than the range that was asked for, but at least this much, so that one range does
 * not take a thousand requests.
 */
const LEAST_PART_BYTES = 16 * 2 ** 10;
/** Slower answers are given up. */
const MIN_BYTES_PER_MS = 16;
/** Pause before the second attempt; it doubles for each further one. */
const FIRST_PAUSE_MS = 100;

/**
 * A file behind HTTP(S), read by ranges. ETag or Last-Modified, and the size, tell whether it changes between
 * requests. From a server without ranges a file of at most 64 MiB is read whole and kept in memory. Nothing
 * is requested before the first read.
 */
export function httpSource(url: string | URL, options: HttpSourceOptions = {}): Source {
  return new HttpSource(String(url), options);
}

class HttpSource implements Source {
  readonly name: string;
  /** One request then brings all of a small picture, or the smallest level of a large one. */
  readonly firstRead = 65_536;
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
    const parts: Uint8Array[] = [];
    let found = 0;
    while (found < length) {
      const part = await this.#someBytes(offset + found, length - found, signal);
      if (part.length === 0) break;
      parts.push(part);
      found += part.length;
    }
    return parts.length === 1 ? parts[0]! : joinBytes(parts);
  }

  /** The first of these bytes, as many as one answer has; none where the source ends. */
  async #someBytes(offset: number, length: number, signal: AbortSignal | undefined): Promise<Uint8Array> {
    const { retries = 2 } = this.#options;
    for (let attempt = 0; ; attempt++) {
      signal?.throwIfAborted();
      if (this.#whole) return this.#whole.subarray(offset, offset + length);
      const wanted = this.#size === undefined ? length : Math.min(length, this.#size - offset);
      if (wanted <= 0) return new Uint8Array();
      try {
        return await this.#request(offset, wanted, signal);
      } catch (error) {
        signal?.throwIfAborted();
        if (!(error instanceof Retryable)) throw error;
        if (attempt >= retries)
          throw new SourceError(`${this.name}: ${error.message}`, { cause: error.cause, code: error.code });
        const pause = FIRST_PAUSE_MS * 2 ** attempt;
        await unlessAborted(signal, new Promise((resolve) => setTimeout(resolve, pause)));
      }
    }
  }

  async close(): Promise<void> {
    this.#whole = undefined;
  }

  async #request(offset: number, length: number, signal: AbortSignal | undefined): Promise<Uint8Array> {
    const { fetch = globalThis.fetch, headers } = this.#options;
    const deadline = new Deadline(this.#options.timeoutMs ?? 30_000, signal);
    try {
      const response = await fetch(this.name, {
        // Fetch itself adds `Accept-Encoding: identity` to a request with a range.
        headers: { ...headers, range: `bytes=${offset}-${offset + length - 1}` },
        signal: deadline.signal,
      });
      return await this.#answer(response, offset, length, deadline);
    } catch (cause) {
      // Closes the connection where the body has not been read to its end.
      deadline.abort();
      if (cause instanceof SourceError) throw cause;
      if (deadline.passed) throw new Retryable(`no answer within ${deadline.ms} ms`, { cause, code: 'slow' });
      throw new Retryable(messageOf(cause), { cause });
    } finally {
      deadline.end();
    }
  }

  async #answer(response: Response, offset: number, length: number, deadline: Deadline): Promise<Uint8Array> {
    const { status } = response;
    const encoding = response.headers.get('content-encoding') ?? 'identity';
    if ((status === 206 || status === 200) && encoding !== 'identity')
      throw this.#failed(`the server compresses (${encoding}) what has to be read by ranges`);
    if (status === 206) return this.#part(response, offset, length, deadline);
    if (status === 200) return this.#wholeBody(response, offset, length, deadline);
    // The file ends at or before `offset`: it is empty, or has become shorter.
    const size = /^bytes \*\/(\d+)$/.exec(response.headers.get('content-range') ?? '')?.[1];
    if (status === 416 && size !== undefined && Number(size) <= offset) {
      this.#checkUnchanged(response, Number(size));
      return new Uint8Array();
    }
    const message = `the server answered ${status}`;
    throw status >= 500 || status === 408 || status === 429 ? new Retryable(message) : this.#failed(message);
  }

  async #part(response: Response, offset: number, length: number, deadline: Deadline): Promise<Uint8Array> {
    const stated = response.headers.get('content-range');
    if (stated === null)
      throw this.#failed(
        'the server does not say which range it sent (other origins have to expose Content-Range)',
      );
    const range = /^bytes (\d+)-(\d+)\/(\d+|\*)$/.exec(stated);
    const last = Number(range?.[2]);
    if (!range || Number(range[1]) !== offset || !(last >= offset && last < offset + length))
      throw this.#failed(`the server sent another range (${stated.slice(0, 60)}) than was asked for`);
    const found = last - offset + 1;
    // A server that does not know the size sends less only at the end.
    const size = range[3] !== '*' ? Number(range[3]) : found < length ? last + 1 : undefined;
    this.#checkUnchanged(response, size);
    if (found < Math.min(length, LEAST_PART_BYTES) && last + 1 !== this.#size)
      throw this.#failed('the server sent fewer bytes than were asked for');
    return this.#body(response, found, deadline);
  }

  /** The answer of a server without ranges: the whole file, which is kept if it is small. */
  async #wholeBody(
    response: Response,
    offset: number,
    length: number,
    deadline: Deadline,
  ): Promise<Uint8Array> {
    const stated = response.headers.get('content-length');
    const size = stated !== null && /^\d+$/.test(stated) ? Number(stated) : undefined;
    if (size !== undefined && size > MAX_WHOLE_BYTES) throw this.#tooLarge();
    this.#checkUnchanged(response, size);
    const bytes = await this.#body(response, size, deadline);
    this.#checkUnchanged(response, bytes.length);
    this.#whole = bytes;
    return bytes.subarray(offset, offset + length);
  }

  #tooLarge(): SourceError {
    return this.#failed('the server does not answer ranges, and the file is larger than 64 MiB');
  }

  #checkUnchanged(response: Response, size: number | undefined): void {
    const validator = response.headers.get('etag') ?? response.headers.get('last-modified') ?? '';
    this.#validator ??= validator;
    this.#size ??= size;
    if (validator !== this.#validator || (size !== undefined && size !== this.#size))
      throw this.#failed('changed since it was opened', 'changed');
  }

  /** Exactly `length` bytes, or all of a body of unknown length. Memory is reserved only as bytes arrive. */
  async #body(response: Response, length: number | undefined, deadline: Deadline): Promise<Uint8Array> {
    deadline.extend(deadline.ms);
    const parts: Uint8Array[] = [];
    let found = 0;
    const reader = response.body?.getReader();
    for (let part = await reader?.read(); part && !part.done; part = await reader?.read()) {
      found += part.value.length;
      deadline.extend(Math.floor(part.value.length / MIN_BYTES_PER_MS));
      if (length === undefined && found > MAX_WHOLE_BYTES) throw this.#tooLarge();
      if (length !== undefined && found > length)
        throw this.#failed('the server sent more bytes than it said');
      parts.push(part.value);
    }
    if (length !== undefined && found < length) throw new Retryable('the body ended early');
    return parts.length === 1 ? parts[0]! : joinBytes(parts);
  }

  #failed(message: string, code?: SourceFault): SourceError {
    return new SourceError(`${this.name}: ${message}`, { code });
  }
}

/** A failure after which another attempt may succeed. */
class Retryable extends SourceError {}

/** A signal that aborts with the caller's, or when the time is up. */
class Deadline {
  readonly #controller = new AbortController();
  readonly #forget: () => void;
  #timer: ReturnType<typeof setTimeout> | undefined;
  readonly #start = performance.now();
  ms = 0;
  passed = false;

  constructor(ms: number, caller: AbortSignal | undefined) {
    this.#forget = onAbort(caller, () => this.#controller.abort(caller?.reason));
    this.extend(ms);
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  extend(ms: number): void {
    this.ms += ms;
    clearTimeout(this.#timer);
    const expire = () => {
      this.passed = true;
      this.#controller.abort();
    };
    this.#timer = setTimeout(expire, this.#start + this.ms - performance.now());
  }

  abort(): void {
    this.#controller.abort();
  }

  end(): void {
    clearTimeout(this.#timer);
    this.#forget();
  }
}

/** The message of an error with that of its cause, which is where `fetch` puts the reason. */
function messageOf(error: unknown): string {
  const { message, cause } = error as Error;
  return cause instanceof Error && cause.message ? `${message} (${cause.message})` : message;
}
