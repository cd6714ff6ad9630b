/** Measurements of a pan by the page itself. Times in milliseconds. */
export interface PanRecord {
  /** Times between frames. */
  readonly frames: readonly number[];
  /** Tasks of the main thread of more than 50 ms. */
  readonly longTasks: readonly number[];
  /** Longest time that the main thread left a timer of 4 ms waiting. */
  readonly longestWait: number;
  /**
   * Times from the moment when the first pixel of a tile came into view to its picture; 0 where the picture
   * was there before.
   */
  readonly appearing: readonly number[];
  /** Tiles that were in view and never had a picture. */
  readonly missed: number;
  /** Share of the view without a picture, for each frame. */
  readonly blank: readonly number[];
}

type Leg = readonly [x: number, y: number];
type Positioned = HTMLElement & { readonly _leaflet_pos?: { readonly x: number; readonly y: number } };

const TILE = 256;

/** Drags the map along straight legs, given in pixels, at `speed` pixels a second, and watches. */
export async function pan(legs: readonly Leg[], speed: number): Promise<PanRecord> {
  const map = document.querySelector<HTMLElement>('.map')!;
  const pane = map.querySelector<Positioned>('.leaflet-map-pane')!;
  const { width, height } = map.getBoundingClientRect();
  const cells = new Map<string, { seen?: number; left?: boolean; painted?: number }>();
  const cellAt = (column: number, row: number) => {
    const key = `${column}/${row}`;
    const cell = cells.get(key) ?? {};
    cells.set(key, cell);
    return cell;
  };
  const positionOf = (element: Positioned) => element._leaflet_pos ?? { x: 0, y: 0 };
  const corner = (tile: Positioned) => {
    const own = positionOf(tile);
    const level = positionOf(tile.parentElement!);
    return { x: own.x + level.x, y: own.y + level.y };
  };
  const first = corner(map.querySelector<Positioned>('.liif-tile')!);
  const phase = { x: ((first.x % TILE) + TILE) % TILE, y: ((first.y % TILE) + TILE) % TILE };
  const cellOf = (tile: Positioned) => {
    const { x, y } = corner(tile);
    return cellAt(Math.round((x - phase.x) / TILE), Math.round((y - phase.y) / TILE));
  };

  for (const tile of map.querySelectorAll<Positioned>('.liif-tile'))
    if (tile.firstElementChild instanceof HTMLCanvasElement) cellOf(tile).painted = 0;
  const watching = new MutationObserver((records) => {
    const now = performance.now();
    for (const { target, addedNodes } of records)
      for (const node of addedNodes)
        if (node instanceof HTMLCanvasElement && (target as HTMLElement).classList.contains('liif-tile'))
          cellOf(target as Positioned).painted ??= now;
  });
  watching.observe(pane, { childList: true, subtree: true });
  const longTasks: number[] = [];
  const tasks = new PerformanceObserver((list) => {
    for (const { duration } of list.getEntries()) longTasks.push(duration);
  });
  tasks.observe({ type: 'longtask' });
  let longestWait = 0;
  let lastWake = performance.now();
  const wake = setInterval(() => {
    const now = performance.now();
    longestWait = Math.max(longestWait, now - lastWake);
    lastWake = now;
  }, 4);

  const blank: number[] = [];
  /** Which tiles are in view now, and how much of the view they leave empty. */
  const look = (now: number): void => {
    const { x, y } = positionOf(pane);
    const left = -x - phase.x;
    const top = -y - phase.y;
    let empty = 0;
    for (const cell of cells.values()) cell.left = cell.seen !== undefined;
    for (let row = Math.floor(top / TILE); row * TILE < top + height; row++)
      for (let column = Math.floor(left / TILE); column * TILE < left + width; column++) {
        const cell = cellAt(column, row);
        cell.seen ??= now;
        cell.left = false;
        if (cell.painted !== undefined) continue;
        const wide = Math.min(left + width, (column + 1) * TILE) - Math.max(left, column * TILE);
        const high = Math.min(top + height, (row + 1) * TILE) - Math.max(top, row * TILE);
        empty += wide * high;
      }
    blank.push(empty / (width * height));
  };

  const at = { x: 0, y: 0 };
  const mouse = (type: string, target: EventTarget) =>
    target.dispatchEvent(
      new MouseEvent(type, {
        bubbles: true,
        cancelable: true,
        button: 0,
        buttons: 1,
        clientX: width / 2 + at.x,
        clientY: height / 2 + at.y,
      }),
    );
  const stamps: number[] = [];
  mouse('mousedown', map);
  const begun = performance.now();
  await new Promise<void>((resolve) => {
    const step = (now: number) => {
      stamps.push(now);
      let left = Math.max(0, ((now - begun) / 1000) * speed);
      at.x = 0;
      at.y = 0;
      let arrived = true;
      for (const [x, y] of legs) {
        const length = Math.hypot(x, y);
        const part = Math.min(1, left / length);
        at.x -= x * part;
        at.y -= y * part;
        left -= length;
        if (left < 0) {
          arrived = false;
          break;
        }
      }
      mouse('mousemove', document);
      look(performance.now());
      if (arrived) resolve();
      else requestAnimationFrame(step);
    };
    requestAnimationFrame(step);
  });
  mouse('mouseup', document);
  clearInterval(wake);
  // Wait for the tiles that are in view at the end.
  const end = performance.now() + 3000;
  const waited = () =>
    [...cells.values()].every(
      ({ seen, left, painted }) => seen === undefined || left || painted !== undefined,
    );
  while (!waited() && performance.now() < end) await new Promise((resolve) => setTimeout(resolve, 20));
  watching.disconnect();
  tasks.disconnect();
  const seen = [...cells.values()].filter((cell) => cell.seen !== undefined);
  const came = seen.filter(({ painted }) => painted !== undefined && painted > 0);
  return {
    frames: stamps.slice(1).map((stamp, i) => stamp - stamps[i]!),
    longTasks,
    longestWait,
    appearing: came.map((cell) => Math.max(0, cell.painted! - cell.seen!)),
    missed: seen.filter(({ painted }) => painted === undefined).length,
    blank,
  };
}
