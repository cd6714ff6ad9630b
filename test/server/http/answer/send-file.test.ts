import { once } from 'node:events';
import { createServer } from 'node:http';
import { connect } from 'node:net';
import express from 'express';
import { expect, it } from 'vitest';
import { listen } from '../../../../src/server/connections/listen.ts';
import { sendFile } from '../../../../src/server/http/answer/send-file.ts';
import { Problem } from '../../../../src/server/problem.ts';
import { afterThisFile } from '../../../after-file.ts';

it('a file whose client hangs up while a piece of it is read is not sent on', async () => {
  const gone = new Error('the client has gone');
  const controller = new AbortController();
  const app = express();
  const sent = new Promise<void>((resolve) => {
    app.get('/', (request, response) => {
      const picture = {
        bytes: 2 ** 30,
        // In spite of the signal, as reads of files that have begun.
        async getBytes(_offset: number, length: number) {
          client.destroy();
          await once(request.socket, 'close');
          controller.abort(gone);
          return new Uint8Array(length);
        },
      };
      resolve(sendFile({ request, response, signal: controller.signal }, picture, 'a'.repeat(64)));
    });
  });
  const server = createServer(app);
  const port = await listen(server, 'port', { port: 0, host: '127.0.0.1' });
  afterThisFile(() => server.close());
  const client = connect(port, '127.0.0.1');
  client.write('GET / HTTP/1.1\r\nHost: localhost\r\n\r\n');
  await expect(sent).rejects.toBe(gone);
}, 10_000);

/** Asks for a file whose byte i is i mod 251. Gives the status, or that of the Problem, and what is said and sent. */
async function answers() {
  const bytes = 600_000;
  const file = Uint8Array.from({ length: bytes }, (_, i) => i % 251);
  const asked: [offset: number, length: number][] = [];
  const { signal } = new AbortController();
  const app = express();
  app.all('/', (request, response) => {
    const getBytes = async (offset: number, length: number, given?: AbortSignal) => {
      if (given !== signal) throw new Problem(500, 'no-signal', 'It is not told when the client goes.');
      asked.push([offset, length]);
      return file.slice(offset, offset + length);
    };
    sendFile({ request, response, signal }, { bytes, getBytes }, 'a'.repeat(64)).catch(({ status }) =>
      response.status(status).end(),
    );
  });
  const server = createServer(app);
  const port = await listen(server, 'port', { port: 0, host: '127.0.0.1' });
  afterThisFile(() => server.close());
  const ask = async (headers: Record<string, string>, method = 'GET') => {
    const answer = await fetch(`http://127.0.0.1:${port}/`, { headers, method });
    const body = new Uint8Array(await answer.arrayBuffer());
    expect(body.length === 0 || Number(answer.headers.get('content-length')) === body.length).toBe(true);
    return [answer.status, answer.headers.get('content-range'), body.length, body[0]] as const;
  };
  return { ask, asked };
}

it('ranges of a file are sent where they are one, of bytes, of this file, and asked for by GET', async () => {
  const { ask, asked } = await answers();
  const whole = [200, null, 600_000, 0];
  expect(await ask({})).toEqual(whole);
  expect(asked).toEqual([
    [0, 262_144],
    [262_144, 262_144],
    [524_288, 75_712],
  ]);
  expect(await ask({ range: 'bytes=252-252' })).toEqual([206, 'bytes 252-252/600000', 1, 1]);
  expect(await ask({ range: 'bytes=-1' })).toEqual([206, 'bytes 599999-599999/600000', 1, 599_999 % 251]);
  expect(await ask({ range: 'bytes=0-9,10-19' })).toEqual([206, 'bytes 0-19/600000', 20, 0]);
  expect(await ask({ range: 'bytes=0-9,20-29' })).toEqual(whole);
  expect(await ask({ range: 'rows=0-9' })).toEqual(whole);
  expect(await ask({ range: 'bytes=0-9' }, 'POST')).toEqual(whole);
  expect(await ask({ range: 'bytes=0-9' }, 'HEAD')).toEqual([200, null, 0, undefined]);
  expect(await ask({ range: 'bytes=600000-' })).toEqual([416, 'bytes */600000', 0, undefined]);
});

it('a file is sent to those who have another, or want this one', async () => {
  const { ask } = await answers();
  const tag = `"${'a'.repeat(32)}"`;
  // Fetch would ask for a file that no cache has.
  const cached = { 'cache-control': 'max-age=0' };
  const statusOf = async (headers: Record<string, string>) => (await ask({ ...cached, ...headers }))[0];
  expect(await statusOf({ 'if-none-match': tag })).toBe(304);
  expect(await statusOf({ 'if-none-match': '"b"' })).toBe(200);
  for (const wanted of [tag, `"b", ${tag}`, '*']) expect(await statusOf({ 'if-match': wanted })).toBe(200);
  expect(await statusOf({ 'if-match': '"b"' })).toBe(412);
  expect(await statusOf({ range: 'bytes=0-9', 'if-range': tag })).toBe(206);
  expect(await statusOf({ range: 'bytes=0-9', 'if-range': '"b"' })).toBe(200);
});
