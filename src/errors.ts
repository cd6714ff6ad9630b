/**
 * Every error this library throws on purpose is one of these five; `_tag` tells which, also of another realm or another copy of this library. Copies that
 * `postMessage` and `structuredClone` make of errors have no `_tag`: send it beside the message.
 */
export type LiifErrorTag =
  | 'FormatError'
  | 'UnsupportedError'
  | 'RequestError'
  | 'SourceError'
  | 'EngineError';

/** What all of them have in common. */
export abstract class LiifError extends Error {
  abstract readonly _tag: LiifErrorTag;
  override get name(): string {
    return this._tag;
  }
}

/** Part of a file in which a fault was found. */
export type FileSection = 'prefix' | 'header' | 'index' | 'chunk' | 'section' | 'model';

/** The bytes break the specification. The file is damaged or was made wrongly; another copy may help. */
export class FormatError extends LiifError {
  readonly _tag = 'FormatError';
  /** Where: the part of the file, e.g. `header`, `index`, `chunk`. */
  readonly section: FileSection;
  /** Byte offset from the start of the file, of the fault or of the section that holds it. */
  readonly byteOffset: number;
  /** What is wrong there: the message without the place. */
  readonly reason: string;
  constructor(section: FileSection, byteOffset: number, message: string, options?: ErrorOptions) {
    super(`${section} at byte ${byteOffset}: ${message}`, options);
    this.section = section;
    this.byteOffset = byteOffset;
    this.reason = message;
  }
}

/** Valid, but not for this build: a newer version, an unknown model, a size beyond this decoder's limits. */
export class UnsupportedError extends LiifError {
  readonly _tag = 'UnsupportedError';
}

/** The caller asked for something that cannot be: an option out of range, a region outside the picture. */
export class RequestError extends LiifError {
  readonly _tag = 'RequestError';
}

export type SourceFault = 'changed' | 'slow';

/** Bytes did not arrive: a missing file, a network failure, a server without ranges. Trying again may help. */
export class SourceError extends LiifError {
  readonly _tag = 'SourceError';
  /** `changed`: another file has taken the place of the one that was opened; `slow`: there was no answer in time. Undefined: anything else. */
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

/** The class of each tag. */
export interface LiifErrors {
  readonly FormatError: FormatError;
  readonly UnsupportedError: UnsupportedError;
  readonly RequestError: RequestError;
  readonly SourceError: SourceError;
  readonly EngineError: EngineError;
}

/** Whether `error` is an error of this library, optionally of one kind, whose fields it then has. */
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

/** What went wrong, in the words of whatever was thrown. */
export function messageOf(reason: unknown): string {
  return reason instanceof Error ? reason.message : String(reason);
}

/** A value in messages about wrong ones: text is quoted, so that '70' is told from 70, and cut where it is long; of objects only what they are is said. */
export function shown(value: unknown): string {
  if (/object|function/.test(typeof value)) return kindOf(value);
  return cut(
    typeof value === 'string'
      ? JSON.stringify(value)
      : String(value) + (typeof value === 'bigint' ? 'n' : ''),
  );
}

/** A part of a message that strangers may have made long. */
export function cut(text: string): string {
  return text.length > LONGEST_PART ? `${text.slice(0, LONGEST_PART)}…` : text;
}

/** What a value is, for messages about wrong ones: the name of its class, or `null` and `undefined`. */
export function kindOf(value: unknown): string {
  return value == null ? String(value) : String(value.constructor?.name || typeof value);
}
