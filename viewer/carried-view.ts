import type { ViewState } from './permalink.ts';
import type { Position } from './position.ts';
import type { PictureSize } from './tile-source.ts';

/** What was in view of a picture, to be found again in one that has taken its place. */
export interface CarriedView {
  readonly state: ViewState;
  readonly size: PictureSize;
  /** All of it: so it shall be of the other. */
  readonly isHome: boolean;
}

/** The same part of a picture of another size. */
export function carriedTo(size: PictureSize, { state, size: before }: CarriedView): ViewState {
  if (size.width === before.width && size.height === before.height) return state;
  const moved = (at: bigint, from: number, to: number) => (at * BigInt(to)) / BigInt(from);
  const center: Position = {
    x: moved(state.center.x, before.width, size.width),
    y: moved(state.center.y, before.height, size.height),
  };
  const enlargement = Math.log2(before.width / size.width);
  return { ...state, center, zoom: state.zoom - before.nativeZoom + size.nativeZoom + enlargement };
}
