import type { RequestHandler } from 'express';
import helmet from 'helmet';

/** Headers that keep pages safe and pictures usable by pages of other sites. `https`: browsers are told to come by TLS only. */
export function securityHeaders(https: boolean): RequestHandler {
  return helmet({
    // Pictures are for pages of other sites too.
    crossOriginResourcePolicy: { policy: 'cross-origin' },
    // The viewer's own page may share memory with its workers, where it decodes by itself.
    crossOriginEmbedderPolicy: true,
    strictTransportSecurity: https,
    contentSecurityPolicy: {
      useDefaults: false,
      directives: {
        defaultSrc: ["'self'"],
        baseUri: ["'none'"],
        connectSrc: ["'self'", 'blob:', 'data:'],
        frameAncestors: ["'self'"],
        imgSrc: ["'self'", 'blob:', 'data:'],
        objectSrc: ["'none'"],
        scriptSrc: ["'self'", "'wasm-unsafe-eval'"],
        styleSrc: ["'self'", "'unsafe-inline'"],
        workerSrc: ["'self'", 'blob:'],
      },
    },
  });
}
