import { expect, it } from 'vitest';
import { freePort } from '../server/redis-server.ts';
import { ask, directoryOf, eventually } from '../server/server-fixture.ts';
import { finished, runLiif, startLiif } from './run-liif.ts';

it('liif serve prints where it is, and where it tells of its health', async () => {
  const child = startLiif(['serve', await directoryOf(), '--port', '0', '--health-port', '0', '--no-watch']);
  let output = '';
  child.stdout!.on('data', (part) => {
    output += part;
  });
  const end = finished(child);
  await eventually(() => /^health: .*\n/m.test(output));
  const url = /^http:.*$/m.exec(output)![0];
  const health = /^health: (.*)$/m.exec(output)![1]!;
  expect((await ask(url, '/ready')).status).toBe(200);
  expect((await ask(health, new URL(health).pathname)).json().status).toBe('ready');
  expect(JSON.parse(/^\{.*$/m.exec(output)![0])).toMatchObject({
    msg: 'listening',
    url,
    healthUrl: new URL('/', health).href,
  });
  child.kill('SIGTERM');
  expect((await end).code).toBe(0);
});

it('liif serve refuses one port for both', async () => {
  const port = String(await freePort());
  const { code, stderr } = await runLiif(['serve', '--port', port, '--health-port', port]);
  expect({ code, stderr }).toEqual({
    code: 2,
    stderr: expect.stringContaining('healthPort: is the same as port'),
  });
});
