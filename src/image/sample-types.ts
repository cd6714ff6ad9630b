import type { Metadata } from 'sharp';

/** Whether samples are of gray, with alpha or without. */
export function isGray({ space }: Pick<Metadata, 'space'>): boolean {
  return space === 'b-w' || space === 'grey16';
}

/** Why samples cannot be read as they are meant, for a message to end with; undefined where they can. */
export function unreadableSamples({
  space,
  depth,
  hasAlpha,
}: Pick<Metadata, 'space' | 'depth' | 'hasAlpha'>): string | undefined {
  if (!hasDefinedRange({ space, depth }))
    return `samples of type ${depth} have no defined range; convert the image to 8 or 16 bits first`;
  // sharp takes the range of such alpha for another, and makes opaque what is not, or the other way round.
  if (hasAlpha && (space === 'labs' || (space === 'cmyk' && depth === 'ushort')))
    return `alpha beside ${space === 'cmyk' ? 'CMYK of 16 bits' : 'Lab'} cannot be read; convert the image to RGB first`;
  return undefined;
}

/** Whether it is defined which numbers are black and white: of 8 and 16 bits without sign, and of interpretations whose others have a range. */
function hasDefinedRange({ space, depth }: Pick<Metadata, 'space' | 'depth'>): boolean {
  if (depth === 'uchar' || depth === 'ushort') return true;
  return space === 'scrgb' || space === 'lab' || (space === 'labs' && depth === 'short');
}
