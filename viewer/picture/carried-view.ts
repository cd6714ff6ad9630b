import type { Position } from '../layer/position.ts';
import type { PictureSize } from '../tiles/tile-source.ts';
import type { ViewState } from './permalink.ts';

/** The view of a picture, to be found again in the picture that has taken its place. */
export interface CarriedView {
  readonly state: ViewState;
  readonly size: PictureSize;
  /** The whole picture was in view, as that of the new one is to be. */
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
