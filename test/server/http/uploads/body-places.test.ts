import { createServer } from 'node:http';
import { connect, type Socket } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';
import { it } from 'vitest';
import { listen } from '../../../../src/server/connections/listen.ts';
import { BodyPlaces } from '../../../../src/server/http/uploads/body-places.ts';
import { problemOf } from '../../../../src/server/problem.ts';
import { afterThisFile } from '../../../after-file.ts';
import { eventually } from '../../server-fixture.ts';

/**
 * A server with two places, on which bodies give way that come, after `afterMs`, at less than 1000 bytes a
 * second; says what became of a body.
 */
async function portWith(afterMs: number): Promise<{ port: number; arrived(): number }> {
  const places = new BodyPlaces(2, { afterMs, bytesPerSecond: 1000 });
  let arrived = 0;
  const server = createServer(async (request, response) => {
    arrived++;
    const said = await places.read(request, 1e6, new AbortController().signal).then(
      ({ length }) => `read ${length}`,
      (error) => problemOf(error).code,
    );
    response.end(said);
  });
  const port = await listen(server, 'port', { host: '127.0.0.1', port: 0 });
  afterThisFile(() => {
    server.closeAllConnections();
    server.close();
  });
  return { port, arrived: () => arrived };
}

function sender(port: number, length: number, first: string): { socket: Socket; said(): string } {
  const socket = connect(port, '127.0.0.1');
  socket.on('error', () => {});
  let said = '';
  socket.on('data', (part) => {
    said += part;
  });
  socket.write(`POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: ${length}\r\n\r\n${first}`);
  return { socket, said: () => said };
}

it('a slow body gives its place to the next one, the slowest first', async () => {
  const { port, arrived } = await portWith(0);
  const slower = sender(port, 1000, 'x');
  const slow = sender(port, 60, 'x'.repeat(50));
  await eventually(() => arrived() === 2);
  await pause(200);
  const quick = sender(port, 10, 'x'.repeat(10));
  await eventually(() => quick.said().includes('read 10'));
  await eventually(() => slower.said().includes('overloaded'));
  slow.socket.write('x'.repeat(10));
  await eventually(() => slow.said().includes('read 60'));
});

it('a body has some time before it is called slow: until then, the next one is refused', async () => {
  const { port, arrived } = await portWith(60_000);
  const both = [sender(port, 2, 'x'), sender(port, 2, 'x')];
  await eventually(() => arrived() === 2);
  const third = sender(port, 1, 'x');
  await eventually(() => third.said().includes('overloaded'));
  for (const { socket } of both) socket.write('x');
  await eventually(() => both.every(({ said }) => said().includes('read 2')));
  const fourth = sender(port, 1, 'x');
  await eventually(() => fourth.said().includes('read 1'));
});
