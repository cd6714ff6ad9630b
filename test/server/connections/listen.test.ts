import { createServer } from 'node:http';
import { afterAll, expect, it } from 'vitest';
import { listen } from '../../../src/server/connections/listen.ts';
import { directoryOf, startServer } from '../server-fixture.ts';

const HOST = '127.0.0.1';
const taken = createServer();
afterAll(() => void taken.close());

it('a server that listens knows its port', async () => {
  expect(await listen(taken, 'port', { host: HOST, port: 0 })).toBeGreaterThan(0);
});

it('a port that is taken, and an address of another machine, are named', async () => {
  const { port } = taken.address() as { port: number };
  for (const [name, options, message] of [
    ['health port', { host: HOST, port }, `health port ${port} is taken by another program`],
    ['port', { host: '192.0.2.1', port: 0 }, 'port 0: 192.0.2.1 is not an address of this machine'],
    ['port', { host: '300.1.1.1', port: 0 }, 'port 0: no address is known for the host 300.1.1.1'],
  ] as const)
    await expect(listen(createServer(), name, options)).rejects.toMatchObject({
      _tag: 'SourceError',
      message,
    });
  await expect(startServer({ roots: [await directoryOf()], port })).rejects.toThrow(
    `port ${port} is taken by another program`,
  );
});

it('an error after the start is logged and ends nothing', async () => {
  const server = await startServer({ roots: [await directoryOf()] });
  for (let i = 0; i < 2; i++) server.server.emit('error', new Error('accept ENOBUFS'));
  expect((await server.get('/health')).status).toBe(200);
  expect(server.log.filter(({ level }) => level === 50)).toMatchObject([
    { msg: 'a connection could not be accepted', err: { message: 'accept ENOBUFS' } },
    {},
  ]);
});
