import type { Map as LeafletMap } from 'leaflet';
import { internalsOf } from '../layer/leaflet-internals.ts';

/**
 * Lets the finger that stays after a pinch move the map. Leaflet alone waits until all fingers are up. Ends
 * with `signal`.
 */
export function dragAfterPinch(map: LeafletMap, signal: AbortSignal): void {
  const onEnd = (event: TouchEvent) => {
    const [touch, ...others] = event.touches;
    if (!touch || others.length > 0 || !map.getContainer().contains(touch.target as Node)) return;
    internalsOf(map).dragging._draggable?._onDown(event);
  };
  // At the window, after Leaflet's listener at the document has ended the pinch.
  addEventListener('touchend', onEnd, { signal });
}
