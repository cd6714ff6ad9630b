import type { Catalog } from '../../pictures/catalog/catalog.ts';
import type { CatalogEntry } from '../../pictures/catalog/directory-listing.ts';
import type { FoundPicture, OpenPictures } from '../../pictures/open-pictures.ts';
import { notFound } from '../../problem.ts';
import { type ImageInfo, imageInfo } from './image-info.ts';

/** Descriptions that are remembered. */
const MOST_KNOWN = 100_000;

/**
 * Describes pictures to clients. Descriptions of pictures of the catalog are remembered until their files
 * change.
 */
export class Descriptions {
  readonly #catalog: Catalog;
  readonly #pictures: OpenPictures;
  readonly #known = new Map<string, { readonly files: string; readonly info: ImageInfo }>();

  constructor(catalog: Catalog, pictures: OpenPictures) {
    this.#catalog = catalog;
    this.#pictures = pictures;
  }

  /** Of the picture of the catalog with this id. Rejects with Problem 404. */
  async ofId(id: string, signal: AbortSignal): Promise<ImageInfo> {
    const entry = this.#catalog.get(id);
    if (!entry) throw notFound('There is no such picture.');
    return this.of(entry, signal);
  }

  async of(entry: CatalogEntry, signal: AbortSignal): Promise<ImageInfo> {
    const original = this.#catalog.originalOf(entry);
    // The files that the description is made of.
    const files = [entry, original].map((file) => file && `${file.id}\n${file.stamp}`).join('\n');
    const known = this.#known.get(entry.id);
    if (known?.files === files) return known.info;
    const found = await this.#pictures.open(entry, 1, signal);
    try {
      const info = await this.#describe(found, original, signal);
      if (this.#known.size > MOST_KNOWN) this.#known.clear();
      this.#known.set(entry.id, { files, info });
      return info;
    } finally {
      found.lease.release();
    }
  }

  /** Of an open picture, of the catalog or not. */
  async ofOpen(found: FoundPicture, signal: AbortSignal): Promise<ImageInfo> {
    const entry = this.#catalog.get(found.id);
    const original = entry && this.#catalog.originalOf(entry);
    return this.#describe(found, original, signal);
  }

  async #describe(found: FoundPicture, original: CatalogEntry | undefined, signal: AbortSignal) {
    return imageInfo(found, original && (await this.#sameSize(found, original, signal)));
  }

  /** The plain image, if it has the size of the picture. */
  async #sameSize(
    found: FoundPicture,
    original: CatalogEntry,
    signal: AbortSignal,
  ): Promise<CatalogEntry | undefined> {
    try {
      const plain = await this.#pictures.open(original, 1, signal);
      const { width, height } = plain.lease.value;
      plain.lease.release();
      return width === found.lease.value.width && height === found.lease.value.height ? original : undefined;
    } catch {
      signal.throwIfAborted();
      return undefined; // a plain image that cannot be read is not an original
    }
  }
}
