/**
 * The five kinds of errors that this library throws on purpose. `_tag` names the kind, also for errors of
 * another realm or another copy of this library, where `instanceof` fails. `postMessage` and
 * `structuredClone` lose it: send it beside the error.
 */
export type LiifErrorTag =
  | 'FormatError'
  | 'UnsupportedError'
  | 'RequestError'
  | 'SourceError'
  | 'EngineError';

/** Base class of the five kinds. */
export abstract class LiifError extends Error {
  abstract readonly _tag: LiifErrorTag;
  override get name(): string {
    return this._tag;
  }
}

/** The part of a file in which a fault was found. */
export type FileSection = 'prefix' | 'header' | 'index' | 'chunk' | 'section' | 'model';

/** The bytes break the specification: the file is damaged or was made wrongly. Another copy may help. */
export class FormatError extends LiifError {
  readonly _tag = 'FormatError';
  /** The part of the file, e.g. `header`, `index` or `chunk`. */
  readonly section: FileSection;
  /** Where the fault, or the part that holds it, begins: bytes from the start of the file. */
  readonly byteOffset: number;
  /** What is wrong: the message without section and offset. */
  readonly reason: string;
  constructor(section: FileSection, byteOffset: number, message: string, options?: ErrorOptions) {
    super(`${section} at byte ${byteOffset}: ${message}`, options);
    this.section = section;
    this.byteOffset = byteOffset;
    this.reason = message;
  }
}

/**
 * The input is valid, but this build cannot handle it: a newer version, an unknown model, a size beyond the
 * limits of this decoder.
 */
export class UnsupportedError extends LiifError {
  readonly _tag = 'UnsupportedError';
}

/** The caller asked for something that cannot be: an option out of range, a region outside the picture. */
export class RequestError extends LiifError {
  readonly _tag = 'RequestError';
}

/** Why bytes did not arrive, where callers can tell one reason from another. */
export type SourceFault = 'changed' | 'slow';

/**
 * Bytes did not arrive: a missing file, a network failure, a server without ranges. Trying again may help.
 */
export class SourceError extends LiifError {
  readonly _tag = 'SourceError';
  /**
   * `changed`: the file was replaced or written over since it was opened. `slow`: no answer came in time.
   * Undefined: any other reason.
   */
  readonly code: SourceFault | undefined;
  constructor(message: string, options?: ErrorOptions & { readonly code?: SourceFault | undefined }) {
    super(message, options);
    this.code = options?.code;
  }
}

/** An engine failed, or is not available on this machine. Another engine may serve. */
export class EngineError extends LiifError {
  readonly _tag = 'EngineError';
}

/** The error class of each tag. */
export interface LiifErrors {
  readonly FormatError: FormatError;
  readonly UnsupportedError: UnsupportedError;
  readonly RequestError: RequestError;
  readonly SourceError: SourceError;
  readonly EngineError: EngineError;
}

/**
 * Whether `error` is an error of this library, or one of its kind `tag`; narrows its type.
 *
 * @example
 * if (isLiifError(error, 'FormatError')) console.log(error.section, error.byteOffset);
 */
export function isLiifError<Tag extends LiifErrorTag = LiifErrorTag>(
  error: unknown,
  tag?: Tag,
): error is LiifErrors[Tag] {
  const found = (error as { _tag?: unknown } | null | undefined)?._tag;
  if (typeof found !== 'string') return false;
  if (tag !== undefined) return found === tag;
  return ['FormatError', 'UnsupportedError', 'RequestError', 'SourceError', 'EngineError'].includes(found);
}

const LONGEST_PART = 100;

/** The message of an error, or the text of any other thrown value. */
export function messageOf(reason: unknown): string {
  return reason instanceof Error ? reason.message : String(reason);
}

/**
 * A wrong value, for messages. Text is quoted, so that '70' differs from 70, and cut where it is long; an
 * object is named by its class.
 */
export function shown(value: unknown): string {
  if (/object|function/.test(typeof value)) return kindOf(value);
  return cut(
    typeof value === 'string'
      ? JSON.stringify(value)
      : String(value) + (typeof value === 'bigint' ? 'n' : ''),
  );
}

/** Text of a stranger, for messages: its first 100 characters. */
export function cut(text: string): string {
  return text.length > LONGEST_PART ? `${text.slice(0, LONGEST_PART)}…` : text;
}

/** The class of a wrong value, for messages: e.g. `Object`, `string`, `null` or `undefined`. */
export function kindOf(value: unknown): string {
  return value == null ? String(value) : String(value.constructor?.name || typeof value);
}
