const RESTS_AFTER_MS = 120;

/** A request about what the pointer is on, made once it rests. The next one takes its place. */
export class RestingRequest {
  #timer: ReturnType<typeof setTimeout> | undefined;
  #controller: AbortController | undefined;

  /** `make` never rejects. */
  ask(make: (signal: AbortSignal) => Promise<void>): void {
    this.cancel();
    const controller = new AbortController();
    this.#controller = controller;
    this.#timer = setTimeout(() => void make(controller.signal), RESTS_AFTER_MS);
  }

  cancel(): void {
    clearTimeout(this.#timer);
    this.#controller?.abort();
  }
}
