import { once } from 'node:events';
import type { Request, Response } from 'express';
import rangeParser from 'range-parser';
import { unlessAborted } from '../../../on-abort.ts';
import type { ServedPicture } from '../../pictures/picture.ts';
import { Problem } from '../../problem.ts';
import type { Exchange } from '../exchange.ts';

/** Pieces in which a file is sent. */
const PIECE_BYTES = 256 * 1024;

/** Bytes of a file, both ends included. */
interface ByteRange {
  readonly start: number;
  readonly end: number;
}

/**
 * Answers with the picture's own file or a range of it (RFC 9110, 13 and 14). `hash` names its bytes. Rejects
 * with Problem: 412 where If-Match names another file, 416 where the range lies beyond the file.
 */
export async function sendFile(
  { request, response, signal }: Pick<Exchange, 'request' | 'response' | 'signal'>,
  picture: Pick<ServedPicture, 'bytes' | 'getBytes'>,
  hash: string,
): Promise<void> {
  const etag = `"${hash.slice(0, 32)}"`;
  response.set({ ETag: etag, 'Content-Type': 'image/x-liif', 'Accept-Ranges': 'bytes' });
  const wantedTags = request.headers['if-match'];
  if (wantedTags !== undefined && !hasTag(wantedTags, etag))
    throw new Problem(412, 'another-file', 'The file is not the one that If-Match names.');
  if (request.fresh) {
    response.status(304).end();
    return;
  }
  const range = rangeOf(request, response, picture.bytes, etag);
  if (range) response.status(206).set('Content-Range', `bytes ${range.start}-${range.end}/${picture.bytes}`);
  const { start, end } = range ?? { start: 0, end: picture.bytes - 1 };
  response.set('Content-Length', String(end - start + 1));
  if (request.method === 'HEAD') {
    response.end();
    return;
  }
  for (let at = start; at <= end; at += PIECE_BYTES) {
    const piece = await picture.getBytes(at, Math.min(PIECE_BYTES, end + 1 - at), signal);
    if (!response.write(piece)) await unlessAborted(signal, once(response, 'drain'));
  }
  response.end();
}

/**
 * The range that is asked for. Undefined, which means the whole file, for no range, several ranges and other
 * units, as RFC 9110 allows.
 */
function rangeOf(request: Request, response: Response, bytes: number, etag: string): ByteRange | undefined {
  const { range: header, 'if-range': condition } = request.headers;
  // Ranges have a meaning for GET alone (14.2).
  if (header === undefined || request.method !== 'GET') return undefined;
  if (condition !== undefined && condition !== etag) return undefined;
  const ranges = rangeParser(bytes, header, { combine: true });
  if (ranges === -1) {
    response.set('Content-Range', `bytes */${bytes}`);
    throw new Problem(416, 'range-not-satisfiable', 'The file has no such bytes.', {
      members: { size: bytes },
    });
  }
  return Array.isArray(ranges) && ranges.type === 'bytes' && ranges.length === 1 ? ranges[0] : undefined;
}

/** Whether an If-Match header is true of a file with this ETag (RFC 9110, 13.1.1). */
function hasTag(header: string, etag: string): boolean {
  return header.split(',').some((tag) => tag.trim() === '*' || tag.trim() === etag);
}
