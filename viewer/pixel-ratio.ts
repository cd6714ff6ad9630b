/** Calls `onChange` whenever pixels of the screen get another size: the browser's own zoom, a window that goes to another screen. Ends with the function that comes back. */
export function watchPixelRatio(onChange: () => void): () => void {
  let query: MediaQueryList;
  const changed = () => {
    // A query knows one ratio.
    end();
    begin();
    onChange();
  };
  const begin = () => {
    query = matchMedia(`(resolution: ${devicePixelRatio}dppx)`);
    query.addEventListener('change', changed);
  };
  const end = () => query.removeEventListener('change', changed);
  begin();
  return end;
}
