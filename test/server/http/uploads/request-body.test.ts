import { createServer } from 'node:http';
import { connect, type Socket } from 'node:net';
import { buffer } from 'node:stream/consumers';
import { setTimeout as pause } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { listen } from '../../../../src/server/connections/listen.ts';
import { boundUnreadBodies, readBody } from '../../../../src/server/http/uploads/request-body.ts';
import { problemOf } from '../../../../src/server/problem.ts';
import { afterThisFile } from '../../../after-file.ts';
import { directoryOf, startServer } from '../../server-fixture.ts';

const PACE = { idleMs: 300, graceMs: 500, bytesPerSecond: 10 };

/**
 * Answers POST with the length of the body or the problem's code, GET at once; connections get 200 ms after
 * an answer, bodies pauses of 300 ms and, after 500 ms, 10 bytes a second at least.
 */
const server = createServer(async (request, response) => {
  if (request.method === 'GET') return void response.end('here');
  if (request.url === '/parsed') await buffer(request);
  const gone = new AbortController();
  response.on('close', () => gone.abort(new Error('gone')));
  const said = await readBody(request, 1000, gone.signal, PACE).then(
    ({ length }) => `read ${length}`,
    (error) => problemOf(error).code,
  );
  response.end(said);
});
boundUnreadBodies(server, 200);
const port = await listen(server, 'port', { host: '127.0.0.1', port: 0, backlog: 10 });
afterThisFile(() => {
  server.closeAllConnections();
  server.close();
});

/**
 * Sends the beginning of a request; `said` is what the server has sent, `closed` whether it has hung up,
 * `failures` how many writes and reads have failed.
 */
function begun(head: string): { socket: Socket; said(): string; closed(): boolean; failures: unknown[] } {
  const socket = connect(port, '127.0.0.1');
  let said = '';
  let closed = false;
  socket.on('data', (part) => {
    said += part;
  });
  socket.on('close', () => {
    closed = true;
  });
  const failures: unknown[] = [];
  socket.on('error', (error) => failures.push(error));
  socket.write(`${head}\r\nHost: localhost\r\n`);
  return { socket, said: () => said, closed: () => closed, failures };
}

describe('a body', () => {
  it('may take longer than the longest pause and the time of grace, as long as it keeps coming', async () => {
    const { socket, said } = begun('POST / HTTP/1.1');
    socket.write('Content-Length: 32\r\n\r\n');
    for (let i = 0; i < 8; i++) {
      await pause(100);
      socket.write('xxxx');
    }
    await expect.poll(said).toContain('read 32');
  });

  it('that a parser before the server has taken is not waited for', async () => {
    const { socket, said } = begun('POST /parsed HTTP/1.1');
    socket.write('Content-Length: 4\r\n\r\nxxxx');
    await expect.poll(said).toContain('body-taken');
  });

  it('that comes a byte at a time, without long pauses, is given up', async () => {
    const { socket, said } = begun('POST / HTTP/1.1');
    socket.write('Content-Length: 1000\r\n\r\n');
    const dripping = setInterval(() => socket.write('x'), 200);
    await expect.poll(said).toContain('body-too-slow');
    clearInterval(dripping);
  });

  it('that stops coming is given up', async () => {
    const { socket, said } = begun('POST / HTTP/1.1');
    socket.write('Content-Length: 8\r\n\r\nxx');
    await expect.poll(said).toContain('body-too-slow');
  });

  it('that came while the event loop was held is not given up', async () => {
    const { socket, said } = begun('POST / HTTP/1.1');
    socket.write('Content-Length: 8\r\n\r\nxx');
    await pause(100);
    socket.write('xxxx');
    const end = performance.now() + 500;
    while (performance.now() < end);
    await pause(0);
    socket.write('xx');
    await expect.poll(said).toContain('read 8');
  });

  it('that turns out too large is refused with an answer', async () => {
    const { socket, said } = begun('POST / HTTP/1.1');
    socket.write(`Transfer-Encoding: chunked\r\n\r\n800\r\n${'x'.repeat(2048)}\r\n`);
    await expect.poll(said).toContain('too-large');
    expect(socket.destroyed).toBe(false);
  });

  it('that is refused is answered to a client that reads only after sending all and asks for Connection: close', async () => {
    const { socket, said, closed, failures } = begun('POST / HTTP/1.1');
    socket.pause();
    const part = 'x'.repeat(100_000);
    socket.write(`Connection: close\r\nContent-Length: ${3 * part.length}\r\n\r\n${part}`);
    for (let i = 0; i < 2; i++) {
      await pause(50);
      socket.write(part);
    }
    socket.resume();
    await expect.poll(closed).toBe(true);
    expect(failures).toEqual([]);
    expect(said()).toContain('too-large');
    expect(said()).toContain('Connection: close');
  });

  it('that goes on for too long after the answer loses its connection', async () => {
    for (const connection of ['keep-alive', 'close']) {
      const { socket, said, closed } = begun('GET / HTTP/1.1');
      socket.write(`Connection: ${connection}\r\nContent-Length: 1000\r\n\r\nx`);
      await expect.poll(said).toContain('here');
      const dripping = setInterval(() => socket.write('x'), 50);
      await expect.poll(closed).toBe(true);
      clearInterval(dripping);
    }
  });
});

it('a server has a bound for whole requests, unless images may be uploaded', async () => {
  const roots = [await directoryOf()];
  expect((await startServer({ roots })).server.requestTimeout).toBe(60_000);
  const { requestTimeout, headersTimeout } = (await startServer({ roots, allowUpload: true })).server;
  expect([requestTimeout, headersTimeout]).toEqual([0, 20_000]);
});
