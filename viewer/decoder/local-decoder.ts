import { onAbort } from '../../src/on-abort.ts';
import type { Sample, SampleWindow } from '../picture/shown-picture.ts';
import { Edition } from '../tiles/edition.ts';
import type {
  DecoderQuestion,
  DecoderResult,
  EngineChoice,
  EngineFacts,
  FromDecoder,
  PictureFacts,
  ToDecoder,
} from './decoder-messages.ts';

/** After this many failures of the engine in a row the decoder ends. */
const MAX_ENGINE_FAILURES = 3;

/** Hears what becomes of the decoder of a picture. */
export interface DecodingListener {
  /** Bytes of the weights so far, and in all. Not called where the browser has kept the weights. */
  progress?(loaded: number, total: number): void;
  warning?(message: string): void;
  /** The decoder has ended. The next picture gets another one. */
  failure?(error: DecodeError): void;
}

export interface OpenOptions {
  readonly signal?: AbortSignal;
  /** The edition that the file must have. Default: the one that it has when opened. */
  readonly edition?: Edition;
  /** Called until the picture is closed, or could not be opened. */
  readonly listener?: DecodingListener;
}

/** A failure of the decoder. The message is for people. */
export class DecodeError extends Error {
  override readonly name = 'DecodeError';
  /**
   * The `_tag` of an error of liif/browser: `FormatError` is a damaged file, `SourceError` one that cannot be
   * read.
   */
  readonly tag: string | undefined;
  /** Another file has taken the place of the one that was opened. */
  readonly replaced: boolean;
  /** The host could not be reached. */
  readonly unreachable: boolean;

  constructor(message: string, tag?: string, code?: string) {
    super(message);
    this.tag = tag;
    this.replaced = code === 'changed';
    this.unreachable = tag === 'SourceError' && /: (Failed to fetch|NetworkError|Load failed)/.test(message);
  }
}

type Without<T, K extends PropertyKey> = T extends unknown ? Omit<T, K> : never;
type Question = Without<DecoderQuestion, 'id'>;
type AboutPicture = Without<Exclude<DecoderQuestion, { readonly kind: 'open' }>, 'id' | 'picture'>;

interface Pending {
  readonly resolve: (result: DecoderResult) => void;
  readonly reject: (reason: unknown) => void;
}

/** `liif/browser` in a worker. The page only asks and draws. */
export class LocalDecoder {
  readonly engine: EngineChoice;
  readonly #model: string;
  readonly #worker: Worker;
  readonly #pending = new Map<number, Pending>();
  /** Listeners of pictures that are being opened, and of open pictures by their number. */
  readonly #opening = new Set<DecodingListener>();
  readonly #open = new Map<number, DecodingListener>();
  #lastId = 0;
  #engineFailures = 0;
  #failure: DecodeError | undefined;
  #retired = false;

  /** `model`: address of the released weights. */
  constructor(model: string, engine: EngineChoice) {
    this.#model = model;
    this.engine = engine;
    this.#worker = new Worker(new URL('./decoder-worker.ts', import.meta.url), { type: 'module' });
    this.#worker.onmessage = ({ data }: MessageEvent<FromDecoder>) => this.#take(data);
    this.#worker.onerror = (event) =>
      this.#fail(new DecodeError(event.message || 'The decoder cannot be loaded.', 'EngineError'));
  }

  /** Whether the decoder has failed or was retired, and answers nothing more. */
  get ended(): boolean {
    return this.#failure !== undefined;
  }

  /**
   * Opens a file, at an address or of the visitor: reads its header. The first file of a model fetches the
   * weights and starts an engine. Rejects with DecodeError, or with TileError where the file is not of the
   * edition.
   */
  async openPicture(file: string | Blob, options: OpenOptions = {}): Promise<DecodedPicture> {
    const { signal, edition = new Edition(), listener = {} } = options;
    this.#opening.add(listener);
    try {
      const question = { kind: 'open', file, model: this.#model, engine: this.engine } as const;
      const facts = (await this.ask(question, edition, signal)) as PictureFacts;
      this.#open.set(facts.picture, listener);
      try {
        edition.check(facts.version);
      } catch (error) {
        this.closePicture(facts.picture);
        throw error;
      }
      return new DecodedPicture(this, file, facts, edition);
    } finally {
      this.#opening.delete(listener);
      this.#endUnused();
    }
  }

  /** Ends the decoder, with its threads and weights, once the last of its pictures is closed. */
  retire(): void {
    this.#retired = true;
    this.#endUnused();
  }

  closePicture(picture: number): void {
    this.#open.delete(picture);
    this.#post({ kind: 'close', picture });
    this.#endUnused();
  }

  #post(message: Without<ToDecoder, 'id'>): number {
    const id = ++this.#lastId;
    if (!this.#failure) this.#worker.postMessage({ ...message, id });
    return id;
  }

  /**
   * The worker's answer. Rejects with DecodeError, with the edition's TileError where the file has been
   * replaced, or with the signal's reason.
   */
  async ask(message: Question, edition: Edition, signal?: AbortSignal): Promise<DecoderResult> {
    try {
      return await this.#call(message, signal);
    } catch (error) {
      throw error instanceof DecodeError && error.replaced ? edition.replace() : error;
    }
  }

  #call(message: Question, signal?: AbortSignal): Promise<DecoderResult> {
    return new Promise((resolve, reject) => {
      if (signal?.aborted) return reject(signal.reason);
      if (this.#failure) return reject(this.#failure);
      const id = this.#post(message);
      const forget = onAbort(signal, () => {
        this.#pending.delete(id);
        this.#worker.postMessage({ kind: 'abort', id });
        reject(signal!.reason);
      });
      this.#pending.set(id, {
        resolve: (result) => {
          forget();
          resolve(result);
        },
        reject: (reason) => {
          forget();
          reject(reason);
        },
      });
    });
  }

  #take(message: FromDecoder): void {
    if (message.kind === 'progress' || message.kind === 'warning') {
      this.#report(message);
      return;
    }
    const pending = this.#pending.get(message.id);
    this.#pending.delete(message.id);
    if (message.kind === 'done') {
      this.#engineFailures = 0;
      // A result that nobody waits for any more holds memory until it is closed.
      if (!pending && message.result instanceof ImageBitmap) message.result.close();
      else if (!pending && 'picture' in message.result) this.closePicture(message.result.picture);
      pending?.resolve(message.result);
      return;
    }
    const error = new DecodeError(message.message, message.tag, message.code);
    pending?.reject(error);
    if (pending && message.tag === 'EngineError' && ++this.#engineFailures >= MAX_ENGINE_FAILURES)
      this.#fail(error);
  }

  #report(message: Extract<FromDecoder, { readonly kind: 'progress' | 'warning' }>): void {
    for (const listener of this.#listeners())
      if (message.kind === 'warning') listener.warning?.(message.message);
      else listener.progress?.(message.loaded, message.total);
  }

  #listeners(): readonly DecodingListener[] {
    return [...this.#opening, ...this.#open.values()];
  }

  #endUnused(): void {
    if (this.#retired && this.#listeners().length === 0)
      this.#end(new DecodeError('Another decoder has taken its place.', 'EngineError'));
  }

  #fail(error: DecodeError): void {
    if (this.#failure) return;
    this.#end(error);
    for (const listener of this.#listeners()) listener.failure?.(error);
  }

  #end(error: DecodeError): void {
    this.#failure ??= error;
    this.#worker.terminate();
    for (const { reject } of this.#pending.values()) reject(error);
    this.#pending.clear();
  }
}

/** A picture that the decoder has opened. */
export class DecodedPicture {
  readonly file: string | Blob;
  readonly facts: PictureFacts;
  readonly edition: Edition;
  readonly #decoder: LocalDecoder;

  constructor(decoder: LocalDecoder, file: string | Blob, facts: PictureFacts, edition: Edition) {
    this.#decoder = decoder;
    this.file = file;
    this.facts = facts;
    this.edition = edition;
  }

  get engine(): EngineFacts {
    return this.facts.engine;
  }

  /** How many tiles to have under way at once. */
  get parallel(): number {
    return this.engine.threads + 1;
  }

  /** Tile z/x/y, `size` pixels on its side; transparent beyond the picture. */
  tile(z: number, x: bigint, y: bigint, size: number, signal: AbortSignal): Promise<ImageBitmap> {
    return this.#ask({ kind: 'tile', z, x, y, size }, signal) as Promise<ImageBitmap>;
  }

  /** Native pixels of a window inside the picture. */
  samples(window: SampleWindow, signal: AbortSignal): Promise<ImageData> {
    return this.#ask({ kind: 'samples', window }, signal) as Promise<ImageData>;
  }

  /** Red, green, blue, alpha at a point, in decimal pixels. */
  valueAt(x: string, y: string, signal: AbortSignal): Promise<Sample> {
    return this.#ask({ kind: 'value', x, y }, signal) as Promise<Sample>;
  }

  close(): void {
    this.#decoder.closePicture(this.facts.picture);
  }

  #ask(question: AboutPicture, signal: AbortSignal): Promise<DecoderResult> {
    return this.#decoder.ask({ ...question, picture: this.facts.picture }, this.edition, signal);
  }
}
