/** Formats that images are sent in. */
export type ImageFormat = 'png' | 'jpg' | 'webp' | 'avif' | 'tif' | 'gif';
