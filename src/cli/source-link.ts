/** Characters that end the path of a URL or have a meaning in it. Browsers drop a space at the start. */
const NOT_OF_PATHS = /[\p{Cc}%?#:\\]|^ /gu;

/**
 * The link from the viewer's page to a picture that lies beside it. The query holds a URL, so special
 * characters of the name are encoded twice.
 */
export function sourceLink(file: string): string {
  const reference = file.replaceAll(NOT_OF_PATHS, encodeURIComponent);
  return `?src=${encodeURIComponent(reference)}`;
}
