import type { Logger } from 'pino';

const EVERY_MS = 60_000;
/** Kinds that are told apart at a time. Further kinds share one. */
const MAX_KINDS = 1000;

interface Told {
  /** Lines that were not written since the last one. */
  silent: number;
  /** Writes the last of them. */
  write: (silent: number) => void;
}

/**
 * Lines of a log that clients can cause as often as they like, such as those of a damaged picture. The first
 * line of a kind is written at once, then one a minute with the number of lines that it stands for.
 */
export class RepeatedLines {
  readonly #log: Logger;
  readonly #everyMs: number;
  readonly #told = new Map<string, Told>();

  constructor(log: Logger, everyMs = EVERY_MS) {
    this.#log = log;
    this.#everyMs = everyMs;
  }

  write(level: 'warn' | 'error', kind: string, fields: object, message: string): void {
    const key = this.#told.has(kind) || this.#told.size < MAX_KINDS ? kind : '';
    const write = (silent: number) =>
      this.#log[level]({ ...fields, ...(silent > 1 && { repeated: silent }) }, message);
    const told = this.#told.get(key);
    if (told) {
      told.silent++;
      told.write = write;
      return;
    }
    write(1);
    this.#told.set(key, { silent: 0, write });
    this.#lookLater(key);
  }

  #lookLater(key: string): void {
    setTimeout(() => {
      const told = this.#told.get(key)!;
      if (told.silent === 0) {
        this.#told.delete(key);
        return;
      }
      told.write(told.silent);
      told.silent = 0;
      this.#lookLater(key);
    }, this.#everyMs).unref();
  }
}
