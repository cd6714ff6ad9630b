const RESTS_AFTER_MS = 120;

/** A request about the place of the pointer, made once the pointer rests. The next one replaces it. */
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
