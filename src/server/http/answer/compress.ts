import compression from 'compression';
import type { RequestHandler } from 'express';

/** Compresses an answer of text as far as its client and its length make sense of it. */
export const compress: RequestHandler = compression({ threshold: 1024 });
