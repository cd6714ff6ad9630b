import type { RequestHandler } from 'express';

const UPLOADS = /^\/api\/images\/?(\?|$)/;

/** Whether a POST to this address is an upload, and uploads are allowed. */
export function takesImages(url: string, allowUpload: boolean): boolean {
  return allowUpload && UPLOADS.test(url);
}

/** Whether a DELETE of this address gives up a job, and uploads are allowed. */
export function givesUpJobs(url: string, allowUpload: boolean): boolean {
  return allowUpload && url.startsWith('/api/jobs/');
}

/** The header Allow of an address. */
export function allowedMethods(url: string, allowUpload: boolean): string {
  if (givesUpJobs(url, allowUpload)) return 'GET, HEAD, DELETE, OPTIONS';
  return takesImages(url, allowUpload) ? 'GET, HEAD, POST, OPTIONS' : 'GET, HEAD, OPTIONS';
}

/** Answers OPTIONS. */
export function optionsAnswer(allowUpload: boolean): RequestHandler {
  return (request, response, next) => {
    if (request.method !== 'OPTIONS') {
      next();
      return;
    }
    response.locals.route = 'options';
    response
      .set({
        Allow: allowedMethods(request.url, allowUpload),
        'Access-Control-Allow-Methods': 'GET, HEAD',
        'Access-Control-Allow-Headers': 'Accept, Content-Type, If-Match, If-None-Match, If-Range, Range',
        'Access-Control-Max-Age': '86400',
      })
      .status(204)
      .end();
  };
}
