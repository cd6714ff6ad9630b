/** Calls `onChange` whenever devicePixelRatio changes: by the browser's zoom, or with a move to another screen. Returns a function that ends it. */
export function watchPixelRatio(onChange: () => void): () => void {
  let query: MediaQueryList;
  const changed = () => {
    // Each query is for one ratio.
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
