import { afterEach, describe, expect, it } from 'vitest';
import {
  directoryOf,
  encoded,
  eventually,
  picture,
  startServer,
  type TestServer,
} from '../server-fixture.ts';

const directory = await directoryOf({ 'a.liif': await encoded(picture(200, 150)) });
const PATH = '/a/1/0/0.png';

let busy = false;
afterEach(() => {
  busy = false;
});

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

/** Sixty tiles at once, over connections that stay. */
function flood(server: TestServer): Promise<Response[]> {
  return Promise.all(
    Array.from({ length: 60 }, async () => {
      const answer = await fetch(new URL(PATH, server.localUrl));
      return new Response(await answer.arrayBuffer(), { status: answer.status, headers: answer.headers });
    }),
  );
}

/** Asks until a request is refused, and gives that answer. */
async function untilRefused(server: TestServer): Promise<Response> {
  let refusal: Response | undefined;
  await eventually(async () => {
    refusal = (await flood(server)).find(({ status }) => status === 503);
    return refusal !== undefined;
  });
  return refusal!;
}

describe('a server whose event loop cannot keep up', () => {
  it('refuses with a problem that says when to come back, and pages of all origins can read it', async () => {
    const server = await startServer({ roots: [directory], maxTurnMs: 5 });
    keepBusy();
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
    const server = await startServer({ roots: [directory], maxTurnMs: 5 });
    keepBusy();
    await untilRefused(server);
    for (const path of ['/health', '/ready', '/metrics'])
      expect([path, (await server.get(path)).status]).toEqual([path, 200]);
  });

  it('counts every refusal and logs one line for all', async () => {
    const server = await startServer({ roots: [directory], maxTurnMs: 5 });
    keepBusy();
    await untilRefused(server);
    await untilRefused(server);
    const metrics = (await server.get('/metrics')).body.toString();
    const shed = Number(/^liif_shed_total\{lane="all",reason="event-loop"\} (\d+)/m.exec(metrics)?.[1]);
    expect(shed).toBeGreaterThan(1);
    expect(metrics).toContain(`liif_http_requests_total{route="refused",status="503"} ${shed}`);
    await eventually(() => server.log.length > 0);
    expect(server.log).toMatchObject([{ level: 40, refused: expect.any(Number) }]);
  });

  it('closes the connection of a refused upload, whose body nobody reads', async () => {
    const server = await startServer({ roots: [directory], maxTurnMs: 5, allowUpload: true });
    keepBusy();
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
    const server = await startServer({ roots: [directory], maxTurnMs: 5 });
    keepBusy();
    await untilRefused(server);
    busy = false;
    await eventually(async () => {
      const answers = await Promise.all(Array.from({ length: 10 }, () => server.get(PATH)));
      return answers.every(({ status }) => status === 200);
    });
  });

  it('refuses nobody where the setting allows longer turns', async () => {
    const server = await startServer({ roots: [directory], maxTurnMs: 60_000 });
    keepBusy();
    for (let i = 0; i < 10; i++)
      expect(new Set((await flood(server)).map(({ status }) => status))).toEqual(new Set([200]));
  });
});
