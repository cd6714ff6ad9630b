import { createServer, type RequestListener, type ServerResponse } from 'node:http';
import { connect, type Socket } from 'node:net';
import { expect, it } from 'vitest';
import { listen } from '../../../src/server/connections/listen.ts';
import { boundPipelining, MAX_RUNNING, MAX_SENT } from '../../../src/server/connections/pipelining.ts';
import { afterThisFile } from '../../after-file.ts';
import { directoryOf, encoded, eventually, picture, startServer } from '../server-fixture.ts';

const GET = (path: string, more = '') => `GET ${path} HTTP/1.1\r\nHost: localhost\r\n${more}\r\n`;

function client(port: number): Socket {
  const socket = connect(port, '127.0.0.1');
  socket.on('error', () => {});
  afterThisFile(() => socket.destroy());
  return socket;
}

async function portOf(listener: RequestListener): Promise<number> {
  const server = createServer(boundPipelining(listener));
  afterThisFile(() => server.close());
  return listen(server, 'port', { port: 0, host: '127.0.0.1' });
}

it('requests that are sent without waiting are all answered, in their order', async () => {
  const port = await portOf((request, response) => setTimeout(() => response.end(`<${request.url}>`), 1));
  const socket = client(port);
  const paths = Array.from({ length: MAX_SENT }, (_, i) => `/${i}`);
  socket.write(paths.map((path) => GET(path, path === paths.at(-1) ? 'Connection: close\r\n' : '')).join(''));
  let text = '';
  for await (const part of socket) text += part;
  expect(text.match(/<.*?>/g)).toEqual(paths.map((path) => `<${path}>`));
});

it('few requests of a connection are begun at a time, and none behind answers that nobody takes', async () => {
  const begun: ServerResponse[] = [];
  const port = await portOf((_request, response) => void begun.push(response));
  const socket = client(port);
  socket.pause();
  socket.write(GET('/').repeat(MAX_RUNNING + 8));
  await eventually(() => begun.length === MAX_RUNNING);
  // The second and third wait for the first, which ends; then more than a megabyte waits.
  begun[1]!.end(Buffer.alloc(2 ** 20));
  begun[2]!.end();
  begun[0]!.end(Buffer.alloc(2 ** 24));
  begun[3]!.end();
  await new Promise((resolve) => setTimeout(resolve, 100));
  expect(begun.length).toBe(MAX_RUNNING);
  socket.resume();
  await eventually(() => begun.length === MAX_RUNNING + 4);
});

it('a connection that sends requests without end and takes no answer is closed, and the others are served', async () => {
  const directory = await directoryOf({ 'a.liif': await encoded(picture(600, 400)) });
  const server = await startServer({ roots: [directory] });
  let arrived = 0;
  let closed = 0;
  server.server.on('request', () => arrived++);
  server.server.on('connection', (socket) => socket.once('close', () => closed++));
  for (let i = 0; i < 4; i++) {
    const socket = client(Number(new URL(server.localUrl).port));
    socket.pause();
    socket.write(GET('/a/file').repeat(50_000));
  }
  await eventually(() => closed === 4);
  expect((await server.get('/health')).status).toBe(200);
  // What was read with the one too many has arrived, and nothing after it.
  expect(arrived).toBeLessThan(4 * 4000);
});
