import { type Canvas, canvasSize } from './canvas.ts';
import { boundsOf, iiifImage, type OutputLimits } from './iiif.ts';
import { type IiifDocument, iiifSizes, type Offer } from './iiif-info.ts';
import type { IiifParameters, IiifSize } from './iiif-parameters.ts';
import { MIME_TYPES } from './rendering.ts';

/** Pixels on the longer side of a thumbnail, at most. */
export const THUMBNAIL_SIDE = 320;

/**
 * A manifest of the IIIF Presentation API 3.0: one canvas with one picture, which Mirador and Universal
 * Viewer open. `service`: the URL of the picture in the Image API 3.0, without a slash at its end. The ids of
 * the parts begin with the URL of the manifest and have no answers of their own.
 */
export function iiifManifest(
  service: string,
  label: string,
  canvas: Canvas,
  limits: OutputLimits,
  { alpha = false, served = () => true }: Offer = {},
): IiifDocument {
  const id = `${service}/manifest.json`;
  const size = canvasSize(canvas);
  const format = alpha ? 'png' : 'jpg';
  const image = (wanted: IiifSize) => {
    const parameters: IiifParameters = {
      region: { kind: 'full' },
      size: wanted,
      mirror: false,
      rotation: 0,
      quality: 'default',
      format,
    };
    const { rendering, canonical } = iiifImage(3, canvas, parameters, limits);
    const { width, height } = rendering.query;
    return {
      id: `${service}/${canonical}`,
      type: 'Image',
      format: MIME_TYPES[format],
      width,
      height,
      service: [{ id: service, type: 'ImageService3', profile: 'level2' }],
    };
  };
  const side = Math.min(THUMBNAIL_SIDE, Math.max(size.width, size.height));
  // Clients without the Image API fetch this one whole, so it is one that the server gives.
  const largest = iiifSizes(size, boundsOf(limits, { format, rotation: 0 }), served).at(-1);
  return {
    '@context': 'http://iiif.io/api/presentation/3/context.json',
    id,
    type: 'Manifest',
    label: { none: [label] },
    thumbnail: [image({ kind: 'pixels', width: side, height: side, fit: true, upscale: false })],
    items: [
      {
        id: `${id}/canvas`,
        type: 'Canvas',
        ...size,
        items: [
          {
            id: `${id}/page`,
            type: 'AnnotationPage',
            items: [
              {
                id: `${id}/annotation`,
                type: 'Annotation',
                motivation: 'painting',
                target: `${id}/canvas`,
                body: image(
                  largest
                    ? { kind: 'pixels', ...largest, fit: false, upscale: false }
                    : { kind: 'max', upscale: false },
                ),
              },
            ],
          },
        ],
      },
    ],
  };
}
