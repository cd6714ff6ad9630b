import type { Metadata } from 'sharp';

/** Whether samples are of gray, with alpha or without. */
export function isGray({ space }: Pick<Metadata, 'space'>): boolean {
  return space === 'b-w' || space === 'grey16';
}

/** Whether it is defined which numbers are black and white: of 8 and 16 bits without sign, and of interpretations whose others have a range. */
export function hasDefinedRange({ space, depth }: Pick<Metadata, 'space' | 'depth'>): boolean {
  if (depth === 'uchar' || depth === 'ushort') return true;
  return space === 'scrgb' || space === 'lab' || (space === 'labs' && depth === 'short');
}
