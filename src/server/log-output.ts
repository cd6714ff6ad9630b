import { constants, fstatSync, openSync, write, writeSync } from 'node:fs';

/** Bytes of lines that may wait. Further lines are lost. */
const MAX_WAITING = 2 ** 20;
/** Time from a failed write to the next attempt. */
const PAUSE_MS = 100;
const STDERR = 2;

export interface Destination {
  readonly fd: number;
  /** Whether a write never blocks. Otherwise Node's threads write. */
  readonly prompt: boolean;
}

/** A destination for pino that never makes the event loop wait for the reader of the log. */
export class LogOutput {
  readonly #to: Destination;
  #waiting: Buffer[] = [];
  #bytes = 0;
  #lost = 0;
  /** Whether a write is under way, or waits for its next attempt. */
  #busy = false;

  constructor(to: Destination) {
    this.#to = to;
  }

  write(line: string): void {
    if (this.#bytes >= MAX_WAITING) this.#lost++;
    else this.#add(line);
    if (!this.#busy) this.#continue();
  }

  /** Writes all waiting lines, for the end of the process. Lines that are not taken at once are lost. */
  flush(): void {
    try {
      while (this.#bytes > 0) {
        const piece = this.#take();
        this.#putBack(piece.subarray(writeSync(this.#to.fd, piece)));
      }
    } catch {
      // There is nowhere to report it.
    }
  }

  #continue(): void {
    if (this.#bytes === 0) return;
    this.#busy = true;
    const piece = this.#take();
    const written = (length: number) => {
      this.#busy = false;
      this.#putBack(piece.subarray(length));
      this.#tellLost();
      this.#continue();
    };
    // The pipe is full (EAGAIN), or the disk.
    const failed = () => {
      this.#putBack(piece);
      setTimeout(() => this.#continue(), PAUSE_MS).unref();
    };
    if (!this.#to.prompt) {
      write(this.#to.fd, piece, (error, length) => (error ? failed() : written(length)));
      return;
    }
    let length: number;
    try {
      length = writeSync(this.#to.fd, piece);
    } catch {
      failed();
      return;
    }
    written(length);
  }

  #take(): Buffer {
    const piece = Buffer.concat(this.#waiting);
    this.#waiting = [];
    this.#bytes = 0;
    return piece;
  }

  #putBack(piece: Buffer): void {
    if (piece.length === 0) return;
    this.#waiting.unshift(piece);
    this.#bytes += piece.length;
  }

  #tellLost(): void {
    if (this.#lost === 0 || this.#bytes > MAX_WAITING / 2) return;
    const msg = 'lines of the log were lost, as they were not taken in time';
    this.#add(
      `${JSON.stringify({ level: 40, time: Date.now(), pid: process.pid, lost: this.#lost, msg })}\n`,
    );
    this.#lost = 0;
  }

  #add(line: string): void {
    const bytes = Buffer.from(line);
    this.#waiting.push(bytes);
    this.#bytes += bytes.length;
  }
}

let output: LogOutput | undefined;

/**
 * Standard error, one `LogOutput` for the whole process. Standard output stays free for what scripts read:
 * the addresses that `liif serve` prints. While nobody reads the pipe, or the disk is full, lines wait;
 * beyond MAX_WAITING bytes they are lost and counted.
 */
export function standardError(): LogOutput {
  if (!output) {
    const opened = new LogOutput(destinationOf(STDERR));
    process.once('exit', () => opened.flush());
    output = opened;
  }
  return output;
}

/**
 * Opens pipes and terminals a second time, without blocking: only this new descriptor refuses a write that
 * has no room. A blocking write would wait in one of Node's threads and keep the process from ending.
 */
function destinationOf(fd: number): Destination {
  try {
    const about = fstatSync(fd);
    if (about.isFile()) return { fd, prompt: true };
    if (about.isFIFO() || about.isCharacterDevice()) {
      const flags = constants.O_WRONLY | constants.O_NONBLOCK | constants.O_NOCTTY;
      return { fd: openSync(`/proc/self/fd/${fd}`, flags), prompt: true };
    }
  } catch {
    // Not Linux, or the pipe belongs to another user.
  }
  return { fd, prompt: false };
}
