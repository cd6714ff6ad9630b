/** What an entry of the history names: a file of the visitor. */
export interface LocalFile {
  readonly file: string;
  readonly name: string;
}

/** Files of the visitor that this page has been given; entries of the history name them. */
export class LocalFiles {
  readonly #files = new Map<string, File>();

  add(file: File): LocalFile {
    // Entries outlive the page: after a reload none of them may name a file that has come since.
    const key = `${performance.timeOrigin} ${this.#files.size + 1}`;
    this.#files.set(key, file);
    return { file: key, name: file.name };
  }

  /** After a reload an entry may name a file that is no longer known. */
  of({ file }: LocalFile): File | undefined {
    return this.#files.get(file);
  }
}

/** The file that an entry of the history names, if it names one. */
export function localFileIn(state: unknown): LocalFile | undefined {
  const { file, name } = (state ?? {}) as Partial<LocalFile>;
  return typeof file === 'string' ? { file, name: name ?? 'The file' } : undefined;
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
    throw new Error(`${source} is not an address.`, { cause });
  }
  if (url.protocol !== 'http:' && url.protocol !== 'https:')
    throw new Error(`${source} is not the address of a file on the web.`);
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
