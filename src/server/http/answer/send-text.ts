import { createHash } from 'node:crypto';
import { type IiifDocument, iiifContextLink, iiifType } from '../../protocols/iiif-info.ts';
import type { Exchange } from '../exchange.ts';
import { compress } from './compress.ts';

/** Cache-Control of descriptions: clients keep them, and ask each time whether they are still true. */
export const DESCRIPTION = 'no-cache';

export function sendLinkedData(exchange: Exchange, document: IiifDocument): void {
  const { request, response } = exchange;
  const type = iiifType(document, request.headers.accept);
  response.set('Vary', 'Accept');
  if (type === 'application/json') response.set('Link', iiifContextLink(document));
  sendJson(exchange, document, type);
}

export function sendJson(exchange: Exchange, value: object, type = 'application/json'): void {
  sendDescription(exchange, JSON.stringify(value), type);
}

export function sendDescription({ request, response }: Exchange, body: string, type: string): void {
  response.set({
    // Weak: the same for bytes that are compressed and those that are not.
    ETag: `W/"${createHash('sha256').update(body).digest('hex').slice(0, 32)}"`,
    'Cache-Control': DESCRIPTION,
    'Content-Type': type.includes(';') ? type : `${type}; charset=utf-8`,
  });
  compress(request, response, () => {
    if (request.fresh) {
      response.status(304).end();
      return;
    }
    response.set('Content-Length', String(Buffer.byteLength(body)));
    response.end(request.method === 'HEAD' ? undefined : body);
  });
}
