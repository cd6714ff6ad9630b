import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import cors from 'cors';
import express, { type Response } from 'express';
import { globSync } from 'tinyglobby';
import { unlessAborted } from '../../src/on-abort.ts';

/**
 * A browser as people start it, with no automation of its own: under WebDriver BiDi Firefox now and then does
 * not start a worker's workers. Its pages ask here what they are to run.
 */
export interface OtherBrowser {
  readonly name: string;
  /** What it needs and is not here. */
  readonly missing: string | undefined;
  /** Arguments with which it starts at an address, with all that it writes in a folder. */
  command(url: string, folder: string): readonly string[];
  readonly environment?: Readonly<Record<string, string>>;
}

const FIREFOX = ['/usr/bin/firefox-esr', '/usr/bin/firefox'].find(existsSync);
const [MINI_BROWSER] = globSync('/usr/lib/*/webkit2gtk-4.*/MiniBrowser', { absolute: true });

export const OTHER_BROWSERS: readonly OtherBrowser[] = [
  {
    name: 'Firefox',
    missing: FIREFOX ? undefined : 'firefox-esr is not installed',
    command: (url, folder) => [FIREFOX!, '--headless', '--no-remote', '--profile', folder, url],
    // A small window has fewer tiles.
    environment: { MOZ_HEADLESS_WIDTH: '500', MOZ_HEADLESS_HEIGHT: '460' },
  },
  {
    // What runs pages in Safari runs them here.
    name: 'WebKit',
    missing:
      MINI_BROWSER && existsSync('/usr/bin/xvfb-run') && existsSync('/usr/bin/xauth')
        ? undefined
        : 'webkit2gtk-driver, xvfb and xauth are not all installed',
    command: (url) => ['xvfb-run', '-a', MINI_BROWSER!, url],
    // It would share graphics memory with a card.
    environment: { WEBKIT_DISABLE_DMABUF_RENDERER: '1' },
  },
];

interface Answer {
  readonly result?: unknown;
  readonly error?: string;
}

/** Where pages ask. */
export interface PageDriver {
  /** A page that asks. */
  withDriver(html: Uint8Array): Uint8Array;
  /** Starts a browser and waits until its page asks. */
  open(browser: OtherBrowser, url: string): Promise<OtherPage>;
  close(): void;
}

/** A page of a browser of its own. */
export interface OtherPage {
  /** Runs a function of no free variables there; argument and result are JSON. */
  evaluate<T, A = undefined>(run: (argument: A) => T | Promise<T>, argument?: A): Promise<T>;
  /** Leaves for another page that asks. */
  goTo(url: string): Promise<void>;
  /** Waits until it is so. */
  until(holds: () => boolean): Promise<void>;
  press(key: string): Promise<void>;
  /** Ends the browser. */
  close(): Promise<void>;
}

const START_MS = 60_000;
const UNTIL_MS = 60_000;
/** A page that is silent for so long has crashed. */
const SILENT_MS = 60_000;

/** In the page: does what it is told, one after the other. */
async function obey(driver: string): Promise<void> {
  for (;;) {
    const code = await (await fetch(`${driver}next`)).text();
    let answer: Answer;
    try {
      // biome-ignore lint/security/noGlobalEval: what it runs is a function of the test's
      answer = { result: await globalThis.eval(code) };
    } catch (error) {
      answer = { error: String(error) };
    }
    await fetch(`${driver}answer`, { method: 'POST', body: JSON.stringify(answer) });
  }
}

export async function startPageDriver(): Promise<PageDriver> {
  const app = express();
  app.use(cors());
  /** The page that waits for something to do. */
  let asking: Promise<Response> | undefined;
  let asks: (response: Response) => void;
  let answers: (answer: Answer) => void = () => {};
  const expectPage = () => {
    asking = new Promise((resolve) => {
      asks = resolve;
    });
  };
  app.get('/next', (_request, response) => asks(response));
  app.post('/answer', express.json({ type: () => true, limit: '10mb' }), (request, response) => {
    expectPage();
    answers(request.body as Answer);
    response.end();
  });
  const server = app.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;

  const evaluate: OtherPage['evaluate'] = async (run, argument) => {
    const response = await heard(asking!);
    const answer = new Promise<Answer>((resolve) => {
      answers = resolve;
    });
    response.type('text').send(`(${run})(${JSON.stringify(argument)})`);
    const { result, error } = await heard(answer);
    if (error !== undefined) throw new Error(error);
    // biome-ignore lint/suspicious/noExplicitAny: what the function returns, by way of JSON
    return result as any;
  };

  return {
    withDriver: (html) => Buffer.from(`${Buffer.from(html)}<script>(${obey})('${address}')</script>`),
    async open(browser, url) {
      const folder = await mkdtemp(join(tmpdir(), 'liif-browser-'));
      await writeFile(join(folder, 'user.js'), 'user_pref("ui.prefersReducedMotion", 1);\n');
      expectPage();
      const [program, ...rest] = browser.command(url, folder);
      const child = spawn(program!, rest, {
        env: { ...process.env, HOME: folder, ...browser.environment },
        stdio: 'ignore',
        // A group of its own, to be ended as one.
        detached: true,
      });
      const close = async () => {
        await stop(child);
        await rm(folder, { recursive: true, force: true, maxRetries: 5 });
      };
      const ended = once(child, 'exit').then(() => false);
      if (!(await Promise.race([asking!.then(() => true), ended, delay(START_MS, false, { ref: false })]))) {
        await close();
        throw new Error(`${browser.name} opens no page`);
      }
      return {
        evaluate,
        async goTo(next) {
          const response = await heard(asking!);
          expectPage();
          // The page does not answer, nor ask again.
          response.type('text').send(`location.assign(${JSON.stringify(next)}); new Promise(() => {})`);
          await heard(asking!);
        },
        async until(holds) {
          for (const end = performance.now() + UNTIL_MS; !(await evaluate(holds)); await delay(50))
            if (performance.now() > end) throw new Error(`it was not so for ${UNTIL_MS} ms: ${holds}`);
        },
        press: (key) =>
          evaluate((name) => {
            document.dispatchEvent(new KeyboardEvent('keydown', { key: name, bubbles: true }));
          }, key),
        close,
      };
    },
    close() {
      server.close();
      server.closeAllConnections();
    },
  };
}

/** What a page says. Rejects with a TimeoutError if it is silent. */
function heard<T>(said: Promise<T>): Promise<T> {
  return unlessAborted(AbortSignal.timeout(SILENT_MS), said);
}

/** It and all that it has started. */
async function stop(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exit = once(child, 'exit');
  process.kill(-child.pid!, 'SIGKILL');
  await exit;
}
