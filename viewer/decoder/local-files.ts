/** A visitor's file, as an entry of the history names it. */
export interface LocalFile {
  readonly file: string;
  readonly name: string;
}

/** Files that the visitor has opened in this page. Entries of the history name them by keys. */
export class LocalFiles {
  readonly #files = new Map<string, File>();

  add(file: File): LocalFile {
    // Entries outlive the page: after a reload their keys must not name newer files.
    const key = `${performance.timeOrigin} ${this.#files.size + 1}`;
    this.#files.set(key, file);
    return { file: key, name: file.name };
  }

  /** The file of an entry; undefined after a reload, which forgets all files. */
  of({ file }: LocalFile): File | undefined {
    return this.#files.get(file);
  }
}

/** The visitor's file that an entry of the history names, if any. */
export function localFileIn(state: unknown): LocalFile | undefined {
  const { file, name } = (state ?? {}) as Partial<LocalFile>;
  return typeof file === 'string' ? { file, name: name ?? 'The file' } : undefined;
}

export function isLiif({ name }: File): boolean {
  return /\.liif$/i.test(name);
}

/** Address and title of the file that `?src=` names. Throws an Error whose message is for people. */
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
