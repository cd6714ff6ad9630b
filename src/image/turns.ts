/** How long others wait while a picture is computed on: a tile takes about as long. */
const TURN_MS = 10;

/**
 * Divides a long computation into turns of the event loop, so that whatever else waits for it need not wait
 * for the end: `if (turns.over) await turns.next()`.
 */
export class Turns {
  readonly #signal: AbortSignal | undefined;
  #end = performance.now() + TURN_MS;

  constructor(signal?: AbortSignal) {
    this.#signal = signal;
  }

  get over(): boolean {
    return performance.now() >= this.#end;
  }

  /** Resolves when others have had their turn. Rejects with the signal's reason. */
  async next(): Promise<void> {
    await new Promise<void>((resolve) => setTimeout(resolve));
    this.#signal?.throwIfAborted();
    this.#end = performance.now() + TURN_MS;
  }
}

/** Pixels between two looks at the clock. */
const PIXELS_PER_LOOK = 1 << 14;

/**
 * Does something with `length` samples, `channels` a pixel, by parts of whole pixels in turns of the event
 * loop. Rejects with the signal's reason.
 */
export async function inTurns(
  length: number,
  channels: number,
  signal: AbortSignal | undefined,
  work: (from: number, to: number) => void,
): Promise<void> {
  const turns = new Turns(signal);
  const step = PIXELS_PER_LOOK * channels;
  for (let from = 0; from < length; from += step) {
    if (turns.over) await turns.next();
    work(from, Math.min(length, from + step));
  }
}
