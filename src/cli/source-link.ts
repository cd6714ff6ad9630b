/** What would end the path of an address, or mean something else in it; browsers leave a space out where it begins. */
const NOT_OF_PATHS = /[\p{Cc}%?#:\\]|^ /gu;

/** Shows a file that lies beside the viewer's page, from that page. The query holds an address, so that what is special in it is encoded twice. */
export function sourceLink(file: string): string {
  const reference = file.replaceAll(NOT_OF_PATHS, encodeURIComponent);
  return `?src=${encodeURIComponent(reference)}`;
}
