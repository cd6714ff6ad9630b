import { RequestError } from '../errors.ts';

/** The image cannot be decoded: it is damaged, or not what its format allows. */
export class ImageError extends RequestError {}

/** A file cannot be written where the caller wants it. */
export class OutputError extends RequestError {}
