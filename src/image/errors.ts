import { RequestError } from '../errors.ts';

/** An image cannot be decoded: it is damaged, or breaks its format. Its `_tag` is `RequestError`. */
export class ImageError extends RequestError {}

/** A file cannot be written where the caller wants it. Its `_tag` is `RequestError`. */
export class OutputError extends RequestError {}
