import { copyOf, hasAlpha, type Raster, samplesLike } from '../raster.ts';
import { Turns } from '../turns.ts';

/** One step of a pyramid: colors, and which pixels have one. */
interface Level {
  readonly width: number;
  readonly height: number;
  /** (height, width, colors) */
  readonly data: Uint8Array | Uint16Array;
  /** (height, width): 1 where the pixel has a color. */
  readonly known: Uint8Array;
}

/**
 * Gives fully transparent pixels the colors of their surroundings. Nobody sees what was there, but it costs
 * bits, and it would show as a fringe: the network, an enlargement and a reduction all mix a pixel with its
 * neighbors. Colors that show, even faintly, and all of alpha stay as they are. The raster itself where
 * nothing is hidden, or nothing shows; else a copy.
 *
 * Averages of what is known, 2 x 2 at a time, until all is known, and back down by linear interpolation
 * (pull-push: Gortler et al., *The Lumigraph*, SIGGRAPH 1996). Integers, so that a picture has one file on
 * every machine. Rejects with the signal's reason.
 */
export async function coverHiddenColors(raster: Raster, signal?: AbortSignal): Promise<Raster> {
  const { width, height, channels, data } = raster;
  if (!hasAlpha(channels)) return raster;
  const turns = new Turns(signal);
  const colors = channels - 1;
  const known = new Uint8Array(width * height);
  let shown = 0;
  for (let y = 0; y < height; y++) {
    if (turns.over) await turns.next();
    for (let i = y * width; i < (y + 1) * width; i++)
      if (data[i * channels + colors]! > 0) {
        known[i] = 1;
        shown++;
      }
  }
  if (shown === 0 || shown === known.length) return raster;

  const plain = samplesLike(data, width * height * colors);
  for (let y = 0; y < height; y++) {
    if (turns.over) await turns.next();
    for (let i = y * width; i < (y + 1) * width; i++)
      for (let c = 0; c < colors; c++) plain[i * colors + c] = data[i * channels + c]!;
  }
  const levels: Level[] = [{ width, height, data: plain, known }];
  while (levels.at(-1)!.known.includes(0)) levels.push(await halved(levels.at(-1)!, colors, turns));
  for (let i = levels.length - 2; i >= 0; i--) await fill(levels[i]!, levels[i + 1]!, colors, turns);

  const result = copyOf(data);
  for (let y = 0; y < height; y++) {
    if (turns.over) await turns.next();
    for (let i = y * width; i < (y + 1) * width; i++)
      if (known[i] === 0) for (let c = 0; c < colors; c++) result[i * channels + c] = plain[i * colors + c]!;
  }
  return { ...raster, data: result };
}

/** Each pixel the rounded average of those of its four that are known. */
async function halved({ width, height, data, known }: Level, colors: number, turns: Turns): Promise<Level> {
  const half = { width: Math.ceil(width / 2), height: Math.ceil(height / 2) };
  const result: Level = {
    ...half,
    data: samplesLike(data, half.width * half.height * colors),
    known: new Uint8Array(half.width * half.height),
  };
  const sums = new Float64Array(colors);
  for (let y = 0, to = 0; y < half.height; y++) {
    if (turns.over) await turns.next();
    for (let x = 0; x < half.width; x++, to++) {
      let count = 0;
      sums.fill(0);
      for (let row = 2 * y; row < Math.min(height, 2 * y + 2); row++) {
        for (let column = 2 * x; column < Math.min(width, 2 * x + 2); column++) {
          const from = row * width + column;
          if (known[from] === 0) continue;
          count++;
          for (let c = 0; c < colors; c++) sums[c]! += data[from * colors + c]!;
        }
      }
      if (count === 0) continue;
      result.known[to] = 1;
      for (let c = 0; c < colors; c++) result.data[to * colors + c] = Math.floor(sums[c]! / count + 0.5);
    }
  }
  return result;
}

/**
 * Fills what is not known from the four nearest pixels of a level of half the size, all of which are filled.
 */
async function fill(
  { width, height, data, known }: Level,
  half: Level,
  colors: number,
  turns: Turns,
): Promise<void> {
  for (let y = 0, to = 0; y < height; y++) {
    if (turns.over) await turns.next();
    const near = (y >> 1) * half.width;
    const far = Math.min(half.height - 1, Math.max(0, (y >> 1) + (y & 1 ? 1 : -1))) * half.width;
    for (let x = 0; x < width; x++, to++) {
      if (known[to] === 1) continue;
      const column = x >> 1;
      const beside = Math.min(half.width - 1, Math.max(0, column + (x & 1 ? 1 : -1)));
      for (let c = 0; c < colors; c++) {
        const sum =
          9 * half.data[(near + column) * colors + c]! +
          3 * half.data[(near + beside) * colors + c]! +
          3 * half.data[(far + column) * colors + c]! +
          half.data[(far + beside) * colors + c]!;
        data[to * colors + c] = (sum + 8) >> 4;
      }
    }
  }
}
