/**
 * Calls `onChange` whenever devicePixelRatio changes, until `signal` is aborted: by the browser's zoom, or
 * with a move to another screen.
 */
export function watchPixelRatio(onChange: () => void, signal: AbortSignal): void {
  const changed = () => {
    // Each query is for one ratio.
    watchPixelRatio(onChange, signal);
    onChange();
  };
  const query = matchMedia(`(resolution: ${devicePixelRatio}dppx)`);
  query.addEventListener('change', changed, { once: true, signal });
}
