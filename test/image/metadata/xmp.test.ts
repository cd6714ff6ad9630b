import { expect, it } from 'vitest';
import { uprightXmp } from '../../../src/image/metadata/xmp.ts';

const upright = (xmp: string) => Buffer.from(uprightXmp(Buffer.from(xmp))).toString();

it('an orientation is made upright where it is an attribute or an element', () => {
  expect(upright('<rdf:Description tiff:Orientation="6" tiff:Make="é"/>')).toBe(
    '<rdf:Description tiff:Orientation="1" tiff:Make="é"/>',
  );
  expect(upright("<a tiff:Orientation = '8'/><tiff:Orientation> 3 </tiff:Orientation>")).toBe(
    "<a tiff:Orientation = '1'/><tiff:Orientation> 1 </tiff:Orientation>",
  );
});

it('all else stays as it is, bytes that are no text too', () => {
  const bytes = Uint8Array.from({ length: 256 }, (_, i) => i);
  expect(uprightXmp(bytes)).toEqual(bytes);
  expect(upright('<a exif:Orientation="6" tiff:Orientation="66">6</a>')).toBe(
    '<a exif:Orientation="6" tiff:Orientation="66">6</a>',
  );
});
