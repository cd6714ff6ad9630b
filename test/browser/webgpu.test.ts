import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect } from 'vitest';
import type { FromWorker } from '../../src/engine/worker/messages.ts';
import { type EngineWorker, openWorkerEngine } from '../../src/engine/worker/worker-engine.ts';
import { MODELS, runEngineTests } from '../engine/conformance.ts';
import { bundledPage, launchChromium, missing, type StaticHost, startStaticHost } from './chromium.ts';

describe.skipIf(missing !== undefined)(
  `the contract of engines, kept by WebGPU in Chromium${missing ? ` (${missing})` : ''}`,
  () => {
    let browser: Browser;
    let host: StaticHost;
    let page: Page;
    const answers = new Map<number, (message: FromWorker) => void>();

    beforeAll(async () => {
      host = await startStaticHost(await bundledPage('engine-page'), {});
      browser = await launchChromium();
      page = await browser.newPage();
      page.on('pageerror', (error) => expect.fail(error.message));
      await page.exposeFunction('fromEngine', (engine: number, message: FromWorker) =>
        answers.get(engine)?.(message),
      );
      await page.goto(host.url);
      await page.waitForFunction(() => 'toEngine' in window);
    });
    afterAll(async () => {
      await browser?.close();
      host?.close();
    });

    /** An engine of the page, in the place of one in a worker. */
    function startInPage(): EngineWorker {
      const number = answers.size;
      answers.set(number, () => {});
      let fail: (reason: unknown) => void = () => {};
      return {
        post(message) {
          page
            .evaluate(([engine, text]) => window.toEngine(engine, text), [number, message] as const)
            .catch((error) => fail(error));
        },
        onMessage: (callback) => answers.set(number, callback),
        onFailure(callback) {
          fail = callback;
        },
        terminate: () => answers.set(number, () => {}),
      };
    }

    runEngineTests({
      models: [MODELS[0]!],
      qualities: [37],
      gradients: false,
      openEngine: (model) =>
        openWorkerEngine(model, { name: 'webgpu', startWorker: startInPage, workers: 1 }),
    });
  },
);
