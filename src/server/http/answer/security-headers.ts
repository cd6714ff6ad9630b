import { IncomingMessage, ServerResponse } from 'node:http';
import { Socket } from 'node:net';
import type { RequestHandler } from 'express';
import helmet from 'helmet';

/**
 * Headers that keep pages safe and pictures usable by pages of other sites. `https` tells browsers to come by
 * TLS only. `frameAncestors` are the other origins that may show pages in frames.
 */
export function securityHeaders(https: boolean, frameAncestors: readonly string[]): RequestHandler {
  const setHeaders = helmet({
    // Pictures are for pages of other sites too.
    crossOriginResourcePolicy: { policy: 'cross-origin' },
    // The viewer's own page may share memory with its workers, where it decodes by itself.
    crossOriginEmbedderPolicy: true,
    strictTransportSecurity: https,
    // The older header knows no list, and would refuse what the policy allows.
    xFrameOptions: frameAncestors.length === 0,
    contentSecurityPolicy: {
      useDefaults: false,
      directives: {
        defaultSrc: ["'self'"],
        baseUri: ["'none'"],
        connectSrc: ["'self'", 'blob:', 'data:'],
        frameAncestors: ["'self'", ...frameAncestors],
        imgSrc: ["'self'", 'blob:', 'data:'],
        objectSrc: ["'none'"],
        scriptSrc: ["'self'", "'wasm-unsafe-eval'"],
        styleSrc: ["'self'", "'unsafe-inline'"],
        workerSrc: ["'self'", 'blob:'],
      },
    },
  });
  // All answers have the same headers, so helmet makes them once. Its functions, one for each header, would
  // cost time for every tile.
  const headers: [string, number | string | readonly string[]][] = [];
  const sample = new ServerResponse(new IncomingMessage(new Socket()));
  sample.setHeader = (...header) => {
    headers.push(header);
    return sample;
  };
  setHeaders(sample.req, sample, (error) => {
    if (error) throw error;
  });
  return (_request, response, next) => {
    for (const [name, value] of headers) response.setHeader(name, value);
    next();
  };
}
