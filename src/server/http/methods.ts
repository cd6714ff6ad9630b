const UPLOADS = /^\/api\/images\/?(\?|$)/;

/** Whether images are sent to this address, where that is allowed. */
export function takesImages(url: string, allowUpload: boolean): boolean {
  return allowUpload && UPLOADS.test(url);
}

/** Whether this address is a job that can be given up. */
export function givesUpJobs(url: string, allowUpload: boolean): boolean {
  return allowUpload && url.startsWith('/api/jobs/');
}

/** What the header Allow says of an address. */
export function allowedMethods(url: string, allowUpload: boolean): string {
  if (givesUpJobs(url, allowUpload)) return 'GET, HEAD, DELETE, OPTIONS';
  return takesImages(url, allowUpload) ? 'GET, HEAD, POST, OPTIONS' : 'GET, HEAD, OPTIONS';
}
