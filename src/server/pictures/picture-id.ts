/** Characters of a picture's id, without the factor of a virtual canvas. */
export const MAX_ID_LENGTH = 1024;

/** A picture as a URL names it: its name in the catalog, or that name enlarged to a virtual canvas. */
export interface PictureId {
  /** As it stands in the URL, decoded. */
  readonly name: string;
  /**
   * Where the name ends in `@<factor>x`: the part before it, and the factor. A picture of the whole name goes
   * before it.
   */
  readonly canvas?: { readonly name: string; readonly factor: number };
}
