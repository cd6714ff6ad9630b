import type { IncomingMessage } from 'node:http';
import { Problem } from '../../problem.ts';
import { readBody } from './request-body.ts';

/** Bodies that have come more slowly than this for some time give their places to others. */
interface Slowness {
  readonly afterMs: number;
  readonly bytesPerSecond: number;
}

const SLOWNESS: Slowness = { afterMs: 5000, bytesPerSecond: 65_536 };

interface Coming {
  readonly stop: AbortController;
  /** Bytes a second so far; infinite at first. */
  rate(): number;
}

/**
 * Places for bodies that are coming. While all are taken, the slowest body gives way to a new one, so that
 * nobody keeps others out by sending slowly.
 */
export class BodyPlaces {
  readonly #places: number;
  readonly #slowness: Slowness;
  readonly #coming = new Set<Coming>();

  constructor(places: number, slowness = SLOWNESS) {
    this.#places = places;
    this.#slowness = slowness;
  }

  /**
   * The body of a request. Rejects as `readBody` does, and with Problem 503 where there is no place, or the
   * body has lost its place.
   */
  async read(request: IncomingMessage, maxBytes: number, signal: AbortSignal): Promise<Buffer> {
    if (this.#coming.size >= this.#places) this.#makePlace();
    const coming = this.#comingOf(request);
    this.#coming.add(coming);
    try {
      return await readBody(request, maxBytes, AbortSignal.any([signal, coming.stop.signal]));
    } finally {
      this.#coming.delete(coming);
    }
  }

  #comingOf({ socket }: IncomingMessage): Coming {
    const begun = performance.now();
    const before = socket.bytesRead;
    return {
      stop: new AbortController(),
      rate: () => {
        const ms = performance.now() - begun;
        return ms < this.#slowness.afterMs
          ? Number.POSITIVE_INFINITY
          : (1000 * (socket.bytesRead - before)) / ms;
      },
    };
  }

  #makePlace(): void {
    let slowest: Coming | undefined;
    let least = this.#slowness.bytesPerSecond;
    for (const coming of this.#coming) {
      const rate = coming.rate();
      if (rate >= least) continue;
      slowest = coming;
      least = rate;
    }
    if (slowest === undefined) throw tooMany();
    this.#coming.delete(slowest);
    slowest.stop.abort(tooMany());
  }
}

function tooMany(): Problem {
  return new Problem(
    503,
    'overloaded',
    'Too many images are being sent, and this one is late or slow; try again soon.',
    {
      retryAfter: 10,
    },
  );
}
