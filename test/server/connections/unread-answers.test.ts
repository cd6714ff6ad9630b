import { once } from 'node:events';
import { createServer, type ServerResponse } from 'node:http';
import { connect, type Socket } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';
import { expect, it } from 'vitest';
import { Connections } from '../../../src/server/connections/connections.ts';
import { listen } from '../../../src/server/connections/listen.ts';
import { afterThisFile } from '../../after-file.ts';

const MS = 200;

/** A client that takes nothing, and the answer that it is to get. */
async function asked(): Promise<{ client: Socket; answer: ServerResponse }> {
  const server = createServer({ keepAliveTimeout: 60_000 });
  new Connections(server, MS);
  const port = await listen(server, 'port', { port: 0, host: '127.0.0.1' });
  const client = connect(port, '127.0.0.1');
  client.on('error', () => {});
  client.write('GET / HTTP/1.1\r\nHost: localhost\r\n\r\n');
  const [, answer] = (await once(server, 'request')) as [unknown, ServerResponse];
  afterThisFile(() => {
    client.destroy();
    server.close();
    server.closeAllConnections();
  });
  return { client, answer };
}

it('a client that does not take its answer is dropped', async () => {
  const { client, answer } = await asked();
  answer.end(Buffer.alloc(64 * 2 ** 20));
  await once(answer, 'close');
  expect(client.bytesRead).toBeLessThan(64 * 2 ** 20);
});

it('a client that waits for its answer, or for the next event, is not dropped', async () => {
  const { client, answer } = await asked();
  await pause(3 * MS);
  answer.write('one');
  await pause(3 * MS);
  answer.end('two');
  let text = '';
  for await (const part of client) {
    text += part;
    if (text.includes('two')) break;
  }
  expect(text).toMatch(/one.*two/s);
});
