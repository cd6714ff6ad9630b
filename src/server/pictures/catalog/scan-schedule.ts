export interface ScanScheduleOptions {
  /** Resolves with whether it could read everything. */
  readonly scan: () => Promise<boolean>;
  /** A scan that nobody waits for has failed. */
  readonly onError: (error: Error) => void;
}

/** A scan begins this long after the last of several events. */
const SETTLE_MS = 150;
/** And at most this long after the first of them: a directory may be filled for minutes. */
const LONGEST_SETTLE_MS = 1000;
/** Between two scans passes at least so many times the duration of the first. */
const REST = 4;
/** A scan that could not read everything is repeated after this time. */
const RETRY_MS = 1000;

/** Decides when scans run: one at a time, and soon after events, but not all the time. */
export class ScanSchedule {
  readonly #options: ScanScheduleOptions;
  #timer: NodeJS.Timeout | undefined;
  /** Latest time of the scan that pending events wait for. */
  #due: number | undefined;
  /** Earliest time of the next scan that events cause. */
  #rested = 0;
  #scanning: Promise<void> | undefined;
  /** The scan after the running one. */
  #next: Promise<void> | undefined;
  /** Whether events came during a scan, which may have passed their places before. */
  #missed = false;
  #closed = false;

  constructor(options: ScanScheduleOptions) {
    this.#options = options;
  }

  /** The first scan, which looks at all files. The next ones are faster: it needs no rest after it. */
  async scanFirst(): Promise<void> {
    await this.scanNow();
    this.#rested = 0;
    if (this.#timer) this.scanSoon();
  }

  /**
   * A running scan may have passed what has changed, so a call during it waits for one more scan, which all
   * such calls share. Rejects if the scan does.
   */
  scanNow(): Promise<void> {
    this.#next ??= (this.#scanning ?? Promise.resolve())
      .catch(() => {})
      .then(() => {
        this.#next = undefined;
        this.#scanning = this.#closed ? Promise.resolve() : this.#scan();
        return this.#scanning;
      });
    return this.#next;
  }

  /** To be called at an event. */
  scanSoon(): void {
    if (this.#closed) return;
    if (this.#scanning) {
      this.#missed = true;
      return;
    }
    const now = performance.now();
    this.#due ??= now + LONGEST_SETTLE_MS;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(
      () => {
        this.#due = undefined;
        this.scanNow().catch(this.#options.onError);
      },
      Math.max(Math.min(now + SETTLE_MS, this.#due), this.#rested) - now,
    );
  }

  /** Starts no more scans, and waits for the running one. */
  async close(): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#timer);
    await (this.#next ?? this.#scanning)?.catch(() => {});
  }

  async #scan(): Promise<void> {
    const begun = performance.now();
    let complete = true;
    try {
      complete = await this.#options.scan();
    } finally {
      const now = performance.now();
      this.#rested = now + Math.max(REST * (now - begun), complete ? 0 : RETRY_MS);
      this.#scanning = undefined;
      if (this.#missed || !complete) this.scanSoon();
      this.#missed = false;
    }
  }
}
