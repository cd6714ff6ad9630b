/** The profiles that images are written with. */
import type { ColorSpace } from '../../color-space.ts';
import { loadSharp } from '../sharp.ts';
import { tagsOf } from './icc.ts';

const profiles = new Map<ColorSpace, Promise<Uint8Array>>();

/** A profile of a color space in 480 bytes. */
export function profileOf(colorSpace: ColorSpace = 'srgb'): Promise<Uint8Array> {
  const known = profiles.get(colorSpace);
  if (known) return known;
  const profile = colorSpace === 'srgb' ? carried('srgb') : carried('p3').then(withNegativeZ);
  profiles.set(colorSpace, profile);
  profile.catch(() => profiles.delete(colorSpace));
  return profile;
}

/** One that libvips carries. */
async function carried(name: string): Promise<Uint8Array> {
  const pixel = { create: { width: 1, height: 1, channels: 3, background: '#000' } } as const;
  const sharp = await loadSharp();
  const { icc } = await sharp(await sharp(pixel).withIccProfile(name).png().toBuffer()).metadata();
  return icc!;
}

/**
 * The Z of Display P3's red is -0.00105. libvips' profile has 0, for readers that know no negative ones, and
 * whoever converts by it adds up to four levels of blue to saturated reds; the other primaries are exact.
 */
function withNegativeZ(profile: Uint8Array): Uint8Array {
  // What sharp gives is a Buffer, whose `slice` is a view, maybe of more than the profile.
  const exact = new Uint8Array(profile);
  // Its ID, a hash, may be left out.
  exact.fill(0, 84, 100);
  const view = new DataView(exact.buffer);
  view.setInt32(tagsOf(view).get('rXYZ')! + 16, Math.round(-0.00105 * 65536));
  return exact;
}
