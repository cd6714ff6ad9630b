import type { SingleBar } from 'cli-progress';
import { type Command, Option } from 'commander';
import { messageOf } from '../errors.ts';
import { unwritable } from '../image/atomic-file.ts';

/** Options of every command but `serve`, which has a log instead. */
export interface OutputOptions {
  readonly json?: boolean;
  readonly quiet?: boolean;
  readonly debug?: boolean;
}

export function addOutputOptions(command: Command): Command {
  return command
    .optionsGroup(GENERAL_GROUP)
    .option('--json', 'print results as JSON, one object per line')
    .option('--quiet', 'print errors only')
    .addOption(debugOption());
}

/** The last group of options; commander adds `--help` to it. */
export const GENERAL_GROUP = 'General options:';

export function debugOption(): Option {
  return new Option('--debug', 'print the stack of an error');
}

/** How far work is, in any unit. `title` replaces the bar's title. */
export interface Shown {
  readonly done: number;
  readonly total: number;
  readonly title?: string;
}

/**
 * Output of a command. Results go to standard output, or to standard error when an image goes to standard
 * output. All else goes to standard error.
 */
export class Terminal {
  readonly #options: OutputOptions;
  readonly #resultsTo: NodeJS.WriteStream;
  #bar: SingleBar | undefined;

  constructor(options: OutputOptions, resultsTo: 'stdout' | 'stderr' = 'stdout') {
    this.#options = options;
    this.#resultsTo = process[resultsTo];
  }

  /**
   * Prints one result: with `--json` the record, else the text. Control characters in them do not reach the
   * terminal.
   */
  result(record: object, text: string): void {
    this.#hideBar();
    if (this.#options.json) this.#resultsTo.write(`${jsonText(record)}\n`);
    else if (!this.#options.quiet) this.#resultsTo.write(`${withoutControls(text)}\n`);
  }

  warning(message: string): void {
    this.#hideBar();
    if (!this.#options.quiet) printWarning(message);
  }

  /** Prints a line about the progress of long work. */
  note(message: string): void {
    this.#hideBar();
    if (!this.#options.quiet) process.stderr.write(`liif: ${oneLine(message)}\n`);
  }

  error(error: unknown): void {
    this.#hideBar();
    printError(error, this.#options.debug ?? false);
  }

  /** Runs `work`, and on a terminal shows a progress bar meanwhile. */
  async progress<T>(title: string, work: (onProgress: (progress: Shown) => void) => Promise<T>): Promise<T> {
    if (this.#options.quiet || this.#options.json || !process.stderr.isTTY) return work(() => {});
    const { SingleBar } = await import('cli-progress');
    const bar = new SingleBar({
      format: `{title}  {bar}  {percentage} %  {duration_formatted}`,
      stream: process.stderr,
      clearOnComplete: true,
      hideCursor: true,
      barsize: 30,
      barCompleteChar: '█',
      barIncompleteChar: '░',
    });
    this.#bar = bar;
    // The bar hides the cursor and turns off line wrapping. A second Ctrl-C exits the process without the
    // `finally` below.
    const restore = () => this.#hideBar();
    process.once('exit', restore);
    bar.start(1, 0, { title: valueText(title) });
    try {
      return await work(({ done, total, title: now = title }) => {
        bar.setTotal(total);
        bar.update(done, { title: valueText(now) });
      });
    } finally {
      process.off('exit', restore);
      this.#hideBar();
    }
  }

  #hideBar(): void {
    this.#bar?.stop();
    this.#bar = undefined;
  }
}

/**
 * Prints warnings of engines and of Node like other messages; with `--quiet` or NODE_NO_WARNINGS they are
 * dropped.
 */
export function tellProcessWarnings(quiet: boolean): void {
  if (process.listenerCount('warning') === 0) return;
  process.removeAllListeners('warning');
  if (!quiet) process.on('warning', ({ message }) => printWarning(message));
}

function printWarning(message: string): void {
  process.stderr.write(`liif: warning: ${oneLine(message)}\n`);
}

/**
 * Prints an error as one line on standard error, without control characters; with `debug`, its stack and
 * cause, too.
 */
export function printError(error: unknown, debug: boolean): void {
  process.stderr.write(`liif: ${oneLine(messageOf(error))}\n`);
  if (debug && error instanceof Error) {
    process.stderr.write(`${withoutControls(error.stack ?? messageOf(error))}\n`);
    if (error.cause)
      process.stderr.write(
        `cause: ${withoutControls((error.cause as Error).stack ?? String(error.cause))}\n`,
      );
  }
}

function oneLine(message: string): string {
  return withoutControls(message.trim().replaceAll(/\s*\n\s*/g, ' '));
}

/**
 * Control characters that terminals obey, except line breaks, and characters that change the direction of
 * text, by which a line could look like another.
 */
const CONTROLS = /(?!\n)[\p{Cc}\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/gu;

/** Replaces control characters by question marks. */
function withoutControls(text: string): string {
  return text.replaceAll(CONTROLS, '?');
}

/** JSON in which all control characters are escaped; `stringify` leaves some. */
function jsonText(record: object): string {
  return JSON.stringify(record).replaceAll(
    CONTROLS,
    (control) => `\\u${control.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}

/**
 * A name or value from a file or an argument, safe as a part of a line: without control characters and line
 * breaks.
 */
export function valueText(value: string): string {
  return withoutControls(value.replaceAll('\n', '?'));
}

/** Writes all bytes to standard output. Rejects with OutputError when it has been closed. */
export function writeStandardOutput(bytes: Uint8Array): Promise<void> {
  return new Promise((resolve, reject) => {
    process.stdout.write(bytes, (error) =>
      error ? reject(unwritable('standard output', error)) : resolve(),
    );
  });
}

/** `1 chunk`, `2 chunks`. */
export function countText(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? '' : 's'}`;
}

/** 1234567 -> `1.23 MB`, in decimal units. */
export function bytesText(bytes: number): string {
  const units = ['bytes', 'kB', 'MB', 'GB', 'TB'];
  let value = bytes;
  let unit = 0;
  while (value >= 1000 && unit < units.length - 1) {
    value /= 1000;
    unit++;
  }
  return `${unit === 0 ? value : value.toPrecision(value >= 100 ? 4 : 3)} ${units[unit]}`;
}

export function secondsText(milliseconds: number): string {
  return milliseconds < 1000
    ? `${Math.round(milliseconds)} ms`
    : `${(milliseconds / 1000).toFixed(milliseconds < 10_000 ? 2 : 1)} s`;
}
