import { TileError } from '../tiles/tile-source.ts';

/**
 * An element that shows the tile. It is decoded already, so that nothing flickers when it is put in. `url`
 * has to be revoked.
 */
export async function drawn(body: Blob | ImageBitmap): Promise<{ picture: HTMLElement; url?: string }> {
  if (!(body instanceof Blob)) {
    const canvas = document.createElement('canvas');
    canvas.width = body.width;
    canvas.height = body.height;
    canvas.getContext('bitmaprenderer')?.transferFromImageBitmap(body);
    return { picture: filling(canvas) };
  }
  const image = document.createElement('img');
  image.alt = '';
  image.draggable = false;
  const url = URL.createObjectURL(body);
  image.src = url;
  try {
    await image.decode();
  } catch (cause) {
    URL.revokeObjectURL(url);
    throw new TileError('The tile is no image, or the policy of this page has no blob: in img-src.', {
      cause,
    });
  }
  return { picture: filling(image), url };
}

/** Side of the element within its tile. */
const SIDE = 'calc(100% + var(--liif-overlap, 0px))';

/** Fills the tile, against rules of the page that would shrink or frame images. */
function filling(picture: HTMLElement): HTMLElement {
  picture.style.cssText = `display:block;width:${SIDE};height:${SIDE};max-width:none;max-height:none;margin:0;padding:0;border:0`;
  return picture;
}
