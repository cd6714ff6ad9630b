/** The item with the least distance; undefined where there are no items. */
export function nearest<T>(items: Iterable<T>, distance: (item: T) => number): T | undefined {
  let found: T | undefined;
  let least = Number.POSITIVE_INFINITY;
  for (const item of items) {
    const far = distance(item);
    if (found !== undefined && far >= least) continue;
    found = item;
    least = far;
  }
  return found;
}
