/** Files of the visitor that this page has been given; an entry of the history names one by its number. */
export class LocalFiles {
  readonly #files = new Map<number, File>();

  add(file: File): number {
    const number = this.#files.size + 1;
    this.#files.set(number, file);
    return number;
  }

  /** After a reload an entry may name a file that is no longer known. */
  of(state: unknown): File | undefined {
    const { file } = (state ?? {}) as { readonly file?: number };
    return file === undefined ? undefined : this.#files.get(file);
  }
}

export function isLiif({ name }: File): boolean {
  return /\.liif$/i.test(name);
}

/** Address and title of what `?src=` names. Throws an Error whose message can be shown. */
export function sourceAddress(source: string): [address: string, title: string] {
  let url: URL;
  try {
    url = new URL(source, document.baseURI);
  } catch (cause) {
    throw new Error(`${source} is no address.`, { cause });
  }
  if (url.protocol !== 'http:' && url.protocol !== 'https:')
    throw new Error(`${source} is no address of a file on the web.`);
  return [url.href, titleOf(url)];
}

function titleOf({ pathname, hostname }: URL): string {
  const name = pathname
    .split('/')
    .at(-1)!
    .replace(/\.liif$/i, '');
  try {
    return decodeURIComponent(name) || hostname;
  } catch {
    return name;
  }
}
