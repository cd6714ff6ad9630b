import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { expect, it } from 'vitest';
import { encodeImage } from '../../../src/encode.ts';
import { openEngine } from '../../../src/engine/open-engine.ts';
import { releasedModel } from '../../../src/model/released-model.ts';
import { directoryOf, picture } from '../server-fixture.ts';

const server = new URL('../../../src/server/index.ts', import.meta.url);

/**
 * Serves a directory, with no more code of engines than there is before the first request, and prints the
 * status of a tile.
 */
const script = `
import { once } from 'node:events';
import { createServer } from 'node:http';
import { register } from 'node:module';
import { createApp } from '${server.href}';
const app = await createApp({ roots: [process.argv[1]], threads: 1, logLevel: 'silent' });
const load = "export const load = (url, context, next) => { if (url.includes('/engine/')) throw new Error('EMFILE'); return next(url, context); }";
register('data:text/javascript,' + encodeURIComponent(load));
const listening = createServer(app).listen(0, '127.0.0.1');
await once(listening, 'listening');
const { status } = await fetch('http://127.0.0.1:' + listening.address().port + '/a/0/0/0.png');
console.log(status);
process.exit();
`;

it('code of engines is there before the first request: what Node fails to load once it never loads again', async () => {
  const engine = await openEngine(await releasedModel(), { engine: 'wasm', threads: 1 });
  const directory = await directoryOf({ 'a.liif': await encodeImage(engine, picture(40, 30)) });
  await engine.close();
  const child = spawn(process.execPath, ['--import', 'tsx', '--input-type=module', '-e', script, directory], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let said = '';
  child.stdout.on('data', (part: Buffer) => {
    said += part;
  });
  await once(child, 'close');
  expect(said.trim()).toBe('200');
});
