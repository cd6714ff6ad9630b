import sharp, { type Sharp } from 'sharp';
import type { ColorSpace } from '../../color-space.ts';
import { profileOf } from '../../image/color/profile.ts';
import { withProfile } from '../../image/metadata/jpeg-profile.ts';
import { hasAlpha, type Raster } from '../../image/raster.ts';
import { tiffToFill } from '../../image/tiff.ts';
import { VERSION } from '../../version.ts';
import type { Look } from '../protocols/rendering.ts';

export interface EncoderQuality {
  readonly jpegQuality: number;
  readonly webpQuality: number;
  readonly avifQuality: number;
}

/** The software that turns pixels into bytes: part of every ETag. */
export const ENCODER = `liif ${VERSION}, sharp ${sharp.versions.sharp}`;

const WHITE = { r: 255, g: 255, b: 255, alpha: 1 };
const CLEAR = { r: 255, g: 255, b: 255, alpha: 0 };

/**
 * Encodes a raster, framed, mirrored, turned and colored as `look` says, with a profile if it is not sRGB.
 * libvips works on threads of its own.
 */
export async function imageBytes(raster: Raster, look: Look, quality: EncoderQuality): Promise<Buffer> {
  const { colorSpace, ...samples } = raster;
  if (colorSpace === undefined || look.format !== 'jpg' || look.color !== 'default')
    return drawn(raster, look, quality);
  // Nothing in between changes colors, and to attach the profile at the end is faster.
  return withProfile(await drawn(samples, look, quality), await profileOf(colorSpace));
}

async function drawn(raster: Raster, look: Look, quality: EncoderQuality): Promise<Buffer> {
  // Gray images, and formats without profiles, are sRGB: libvips converts.
  const profiled = look.color === 'default' && look.format !== 'gif';
  const opaque = look.format === 'jpg';
  const framed = look.frame ? framedRaster(raster, look.frame, opaque) : raster;
  let image = await opened(framed, profiled);
  const alpha = hasAlpha(framed.channels);
  if (alpha && opaque) image = image.flatten({ background: WHITE });
  if (look.mirror) image = image.flop();
  if (look.rotation % 90 === 0) {
    if (look.rotation !== 0) image = image.rotate(look.rotation);
  } else {
    // By other angles, sharp turns before it mirrors. So the mirrored picture is made first.
    if (look.mirror) image = await settled(image, profiled ? raster.colorSpace : undefined);
    image = image.rotate(look.rotation, { background: opaque ? WHITE : CLEAR });
  }
  if (look.color !== 'default') {
    image = look.rotation % 90 === 0 ? image : await settled(image, undefined);
    image = image.grayscale().toColorspace('b-w');
    if (look.color === 'bitonal') image = image.threshold(128);
  }
  return encoded(image, look, quality).toBuffer();
}

async function settled(image: Sharp, colorSpace: ColorSpace | undefined): Promise<Sharp> {
  const { data, info } = await image.raw().toBuffer({ resolveWithObject: true });
  const { width, height } = info;
  const channels = info.channels as Raster['channels'];
  return opened({ width, height, channels, data, ...(colorSpace && { colorSpace }) }, true);
}

/**
 * Opens a raster in sharp. Raw samples have no profile, so Display P3 comes as a TIFF: with `profiled` its
 * profile is kept, otherwise libvips converts to sRGB.
 */
async function opened(
  { width, height, channels, data, colorSpace }: Raster,
  profiled: boolean,
): Promise<Sharp> {
  if (!colorSpace) return sharp(data, { raw: { width, height, channels } });
  const icc = await profileOf(colorSpace);
  const { tiff, samples } = tiffToFill({ width, height, channels, depth: 8, icc });
  samples.set(data);
  const image = sharp(tiff, { limitInputPixels: false });
  return profiled ? image.keepIccProfile() : image;
}

/** Settings favor speed over size: there are thousands of tiles, and each is looked at once or twice. */
function encoded(image: Sharp, look: Look, quality: EncoderQuality): Sharp {
  switch (look.format) {
    case 'jpg':
      return image.jpeg({
        quality: quality.jpegQuality,
        optimiseCoding: false,
        mozjpeg: false,
        chromaSubsampling: quality.jpegQuality >= 90 ? '4:4:4' : '4:2:0',
      });
    case 'png':
      return image.png({ compressionLevel: 4, adaptiveFiltering: false, palette: false });
    case 'webp':
      return image.webp({ quality: quality.webpQuality, effort: 0, smartSubsample: false });
    case 'avif':
      return image.avif({ quality: quality.avifQuality, effort: 0 });
    case 'tif':
      return image.tiff({ compression: 'deflate' });
    case 'gif':
      return image.gif({ effort: 1 });
  }
}

/**
 * The raster in the upper left corner of a frame. The rest is white in opaque formats, otherwise transparent.
 */
function framedRaster(
  raster: Raster,
  frame: { readonly width: number; readonly height: number },
  opaque: boolean,
): Raster {
  if (raster.width === frame.width && raster.height === frame.height) return raster;
  const colors = raster.channels <= 2 ? 1 : 3;
  const alpha = hasAlpha(raster.channels);
  const channels = (opaque && !alpha ? colors : colors + 1) as Raster['channels'];
  const data = new Uint8Array(frame.width * frame.height * channels);
  // Transparent white with alpha, white without.
  if (channels === colors) data.fill(255);
  for (let y = 0; y < raster.height; y++) {
    let i = y * raster.width * raster.channels;
    let o = y * frame.width * channels;
    if (channels === raster.channels) {
      data.set(raster.data.subarray(i, i + raster.width * channels), o);
      continue;
    }
    for (let x = 0; x < raster.width; x++) {
      for (let c = 0; c < colors; c++) data[o++] = raster.data[i++]!;
      data[o++] = 255;
    }
  }
  return { ...raster, width: frame.width, height: frame.height, channels, data };
}
