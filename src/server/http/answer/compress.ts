import compression from 'compression';

/** Compresses an answer of text as far as its client and its length make sense of it. */
export const compress = compression({ threshold: 1024 });
