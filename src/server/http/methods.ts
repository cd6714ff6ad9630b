const UPLOADS = /^\/api\/images\/?(\?|$)/;

/** Whether images are sent to this address, where that is allowed. */
export function takesImages(url: string, allowUpload: boolean): boolean {
  return allowUpload && UPLOADS.test(url);
}

/** What the header Allow says of an address. */
export function allowedMethods(url: string, allowUpload: boolean): string {
  return takesImages(url, allowUpload) ? 'GET, HEAD, POST, OPTIONS' : 'GET, HEAD, OPTIONS';
}
