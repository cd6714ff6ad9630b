import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Logger } from 'pino';
import { afterEach, describe, expect, it, onTestFinished, vi } from 'vitest';
import { overloadGate } from '../../../../src/server/http/overload/overload-gate.ts';
import { Shedding } from '../../../../src/server/http/overload/shedding.ts';
import type { AppOptions } from '../../../../src/server/index.ts';
import { Metrics } from '../../../../src/server/metrics.ts';
import {
  directoryOf,
  encoded,
  eventually,
  picture,
  startServer,
  type TestServer,
} from '../../server-fixture.ts';

const directory = await directoryOf({ 'a.liif': await encoded(picture(200, 150)) });
const PATH = '/a/1/0/0.png';

let busy = false;
/**
 * Part of the time in which the process has a processor, as the server is told: other programs may leave
 * these tests less.
 */
let running = 1;
vi.spyOn(process, 'cpuUsage').mockImplementation((before) => ({
  user: performance.now() * 1000 * running - (before?.user ?? 0),
  system: 0,
}));
afterEach(() => {
  busy = false;
  running = 1;
});

/** A server that has its tile ready, before the event loop is held. */
async function startWarm(options: Partial<AppOptions>): Promise<TestServer> {
  const server = await startServer({ roots: [directory], ...options });
  await server.get(PATH);
  keepBusy();
  return server;
}

/** Holds the event loop, which these tests share with the server, for 10 ms of each turn. */
function keepBusy(): void {
  busy = true;
  const hold = () => {
    const end = performance.now() + 10;
    while (performance.now() < end);
    if (busy) setImmediate(hold);
  };
  hold();
}

/**
 * Lets `count` clients ask for a tile again and again, over connections that stay, while `goOn` says so of
 * the answers.
 */
async function askAll(server: TestServer, count: number, goOn: (answer: Response) => boolean): Promise<void> {
  let on = true;
  const client = async () => {
    while (on) {
      const answer = await fetch(new URL(PATH, server.localUrl));
      await answer.clone().arrayBuffer();
      on &&= goOn(answer);
    }
  };
  await Promise.all(Array.from({ length: count }, client));
}

/** Asks without a pause until a request is refused, and gives that answer. */
async function untilRefused(server: TestServer): Promise<Response> {
  let refusal: Response | undefined;
  let answers = 0;
  await askAll(server, 40, (answer) => {
    if (answer.status === 503) refusal ??= answer;
    return refusal === undefined && ++answers < 10_000;
  });
  return refusal ?? expect.fail('nothing was refused');
}

describe('a server whose event loop cannot keep up', () => {
  it('refuses with a problem that says when to come back, and pages of all origins can read it', async () => {
    const server = await startWarm({ maxTurnMs: 5 });
    const refusal = await untilRefused(server);
    expect(await refusal.json()).toMatchObject({ type: 'urn:liif:problem:overloaded', status: 503 });
    expect(Object.fromEntries(refusal.headers)).toMatchObject({
      'content-type': expect.stringMatching(/^application\/problem\+json/),
      'retry-after': '1',
      'cache-control': 'no-store',
      'access-control-allow-origin': '*',
      'access-control-expose-headers': 'Retry-After',
    });
  });

  it('still answers balancers and those who look after it', async () => {
    const server = await startWarm({ maxTurnMs: 5 });
    await untilRefused(server);
    for (const path of ['/health', '/ready/', '/metrics', 'http://localhost/health'])
      expect([path, (await server.get(path)).status]).toEqual([path, 200]);
  });

  it('counts every refusal and logs one line for all', async () => {
    const server = await startWarm({ maxTurnMs: 5 });
    const begun = performance.now();
    await untilRefused(server);
    await untilRefused(server);
    const metrics = (await server.get('/metrics')).body.toString();
    const shed = Number(/^liif_shed_total\{lane="all",reason="event-loop"\} (\d+)/m.exec(metrics)?.[1]);
    expect(shed).toBeGreaterThan(1);
    expect(metrics).toContain(`liif_http_requests_total{route="refused",status="503"} ${shed}`);
    await eventually(() => server.log.length > 0);
    expect(server.log[0]).toMatchObject({ level: 40, refused: expect.any(Number) });
    // A line for each ten seconds that this has taken.
    expect(server.log.length).toBeLessThanOrEqual(1 + (performance.now() - begun) / 10_000);
  });

  it('closes the connection of a refused upload, whose body nobody reads', async () => {
    const server = await startWarm({ maxTurnMs: 5, allowUpload: true });
    await untilRefused(server);
    await eventually(async () => {
      const { status, headers } = await server.get('/api/images?name=b', {
        method: 'POST',
        body: new Uint8Array(1000),
        headers: { connection: 'keep-alive' },
      });
      return status === 503 && headers.connection === 'close';
    });
  });

  it('serves all again when it can', async () => {
    const server = await startWarm({ maxTurnMs: 5 });
    await untilRefused(server);
    busy = false;
    let inARow = 0;
    while (inARow < 20) {
      const { status } = await server.get(PATH);
      inARow = status === 200 ? inARow + 1 : 0;
      await new Promise((resolve) => setTimeout(resolve, 30));
    }
  });

  it('refuses nobody while it is kept from running', async () => {
    const server = await startWarm({ maxTurnMs: 5 });
    running = 0.2;
    const statuses: number[] = [];
    await askAll(server, 20, ({ status }) => statuses.push(status) < 400);
    expect(new Set(statuses)).toEqual(new Set([200]));
  });

  it('refuses nobody where the setting allows longer turns', async () => {
    const server = await startWarm({ maxTurnMs: 60_000 });
    const statuses: number[] = [];
    await askAll(server, 40, ({ status }) => statuses.push(status) < 400);
    expect(new Set(statuses)).toEqual(new Set([200]));
  });
});

describe('a gate that lets nothing pass', () => {
  /** Answers of the gate to requests that one after the other come to it. */
  function gateOf() {
    const lines: object[] = [];
    const log = { warn: (line: object) => void lines.push(line) } as unknown as Logger;
    const app = vi.fn();
    const gate = overloadGate({ maxTurnMs: 5, allowOrigin: '*', metrics: new Metrics(), log }, app);
    const passes = vi.spyOn(Shedding.prototype, 'passes').mockReturnValue(false);
    onTestFinished(() => passes.mockRestore());
    const ask = (method: string, url = '/a') => {
      const response = { shouldKeepAlive: true, writeHead: vi.fn(), end: vi.fn() };
      gate({ method, url, socket: {} } as IncomingMessage, response as unknown as ServerResponse);
      return response;
    };
    return { ask, app, lines };
  }

  it('keeps the connections of refused requests that have no body', () => {
    const { ask } = gateOf();
    const kept = ['GET', 'HEAD', 'POST', 'PUT'].map((method) => ask(method).shouldKeepAlive);
    expect(kept).toEqual([true, true, false, false]);
  });

  it('knows what always passes by the whole path', () => {
    const { ask, app } = gateOf();
    for (const path of ['/healthy', '/metrics.png', '/a/health']) ask('GET', path);
    expect(app).not.toHaveBeenCalled();
    for (const path of ['/health', '/ready/', '/metrics?a']) ask('GET', path);
    expect(app).toHaveBeenCalledTimes(3);
  });

  it('logs what it has refused since the last line when all pass again', () => {
    vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval', 'performance'] });
    onTestFinished(() => void vi.useRealTimers());
    const { ask, lines } = gateOf();
    for (let i = 0; i < 3; i++) ask('GET');
    vi.advanceTimersByTime(50);
    ask('GET');
    vi.advanceTimersByTime(100);
    expect(lines).toEqual([{ refused: 3 }, { refused: 1 }]);
    expect(vi.getTimerCount()).toBe(0);
  });
});
