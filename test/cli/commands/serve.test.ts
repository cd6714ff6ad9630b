import { once } from 'node:events';
import { open } from 'node:fs/promises';
import { connect } from 'node:net';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { setTimeout as pause } from 'node:timers/promises';
import { expect, it } from 'vitest';
import { freePort } from '../../server/redis-server.ts';
import { ask, directoryOf, eventually } from '../../server/server-fixture.ts';
import { finished, runLiif, startLiif } from '../run-liif.ts';

it('liif serve prints its addresses alone on standard output, and its log, in lines of JSON, on standard error', async () => {
  const child = startLiif(['serve', await directoryOf(), '--port', '0', '--health-port', '0', '--no-watch']);
  let output = '';
  child.stdout!.on('data', (part) => {
    output += part;
  });
  const end = finished(child);
  await eventually(() => /^health: .*\n/m.test(output));
  const [, url, health] = /^(http:.*)\nhealth: (.*)\n$/.exec(output) as unknown as [string, string, string];
  expect((await ask(url, '/ready')).status).toBe(200);
  expect((await ask(health, new URL(health).pathname)).json().status).toBe('ready');
  child.kill('SIGTERM');
  const { code, stdout, stderr } = await end;
  expect([code, stdout.toString()]).toEqual([0, output]);
  const lines = stderr.trim().split('\n');
  expect(lines.map((line) => JSON.parse(line))).toContainEqual(
    expect.objectContaining({ msg: 'listening', url, healthUrl: new URL('/', health).href }),
  );
});

it('liif serve ends, and says why, where standard output does not take its address', async () => {
  const full = await open('/dev/full', 'w');
  const args = ['serve', await directoryOf(), '--port', '0', '--no-watch'];
  const child = startLiif(args, { stdio: ['ignore', full.fd, 'pipe'] });
  await full.close();
  const [stderr, [code]] = await Promise.all([text(child.stderr!), once(child, 'close')]);
  expect(stderr).toMatch(/^liif: standard output: cannot be written: no space left on the device\n/m);
  expect(code).toBe(6);
});

it('liif serve that cannot start ends, and says why', async () => {
  const folder = await directoryOf();
  for (const [flag, value, message] of [
    ['--remotes', 'nowhere', /^liif: remotes: number 1 is not NAME=/],
    ['--redis', 'redis://localhost/one', /^liif: setting redis: Invalid pathname\n/],
    ['--allow-origin', 'nobody', /^liif: setting allowOrigin: expected \* or an origin \(--allow-origin\)\n/],
  ] as const) {
    const { code, stderr } = await runLiif(['serve', folder, '--port', '0', flag, value]);
    expect({ code, stderr }).toEqual({ code: 2, stderr: expect.stringMatching(message) });
  }
});

it('liif serve prints the stack of an error that ends it with --debug', async () => {
  const { code, stderr } = await runLiif(['serve', '--port', 'none', '--debug']);
  expect({ code, stderr }).toEqual({
    code: 2,
    stderr: expect.stringMatching(/^liif: setting port: .*\nRequestError: .*\n\s+at /),
  });
});

it('liif serve takes several models, and ends where one cannot be used', async () => {
  const folder = await directoryOf({ 'bad.safetensors': 'no model' });
  const models = ['--model', 'a,b.safetensors', '--model', 'c.safetensors'];
  const { stdout } = await runLiif(['serve', '--print-config', ...models]);
  expect(JSON.parse(stdout.toString()).models).toEqual(['a,b.safetensors', 'c.safetensors']);
  const { code, stderr } = await runLiif([
    'serve',
    folder,
    '--port',
    '0',
    '--model',
    join(folder, 'bad.safetensors'),
  ]);
  expect({ code, stderr }).toEqual({
    code: 4,
    stderr: expect.stringMatching(/^liif: \S*bad\.safetensors: model at byte 0: /),
  });
});

it('liif serve takes every setting as a flag, which goes before the environment', async () => {
  const lists = [
    '--allowed-hosts',
    'a,b',
    '--allowed-hosts',
    'c',
    '--remotes',
    'd=http://h/',
    '--remotes',
    'e=http://h/',
  ];
  const booleans = ['--watch', '--plain', '--metrics', '--no-allow-upload', '--no-trust-proxy'];
  const env = {
    LIIF_WATCH: 'false',
    LIIF_PLAIN: 'false',
    LIIF_METRICS: 'false',
    LIIF_ALLOW_UPLOAD: 'true',
    LIIF_TRUST_PROXY: 'true',
    LIIF_PORT: '',
    LIIF_REDIS: '',
    LIIF_GPU: 'any',
    LIIF_PROT: '9000',
  };
  const { code, stdout, stderr } = await runLiif(
    ['serve', '--print-config', ...lists, ...booleans],
    undefined,
    env,
  );
  expect({ code, stderr }).toEqual({
    code: 0,
    stderr: 'liif: warning: LIIF_PROT is not a setting and is ignored\n',
  });
  const config = JSON.parse(stdout.toString());
  expect(config).toMatchObject({
    port: 8080,
    watch: true,
    plain: true,
    metrics: true,
    allowUpload: false,
    trustProxy: false,
    allowedHosts: ['a', 'b', 'c'],
    remotes: ['d=http://h/', 'e=http://h/'],
  });
  expect(config.redis).toBeUndefined();
});

it('liif serve takes what it serves from the command line, the environment or a file, the first that has it, or serves where it is', async () => {
  const folder = await directoryOf({ 'liif.json': JSON.stringify({ roots: ['a,b'] }) });
  const rootsOf = async (args: readonly string[], env = {}) => {
    const { code, stdout, stderr } = await runLiif(['serve', '--print-config', ...args], undefined, env);
    return code === 0 ? JSON.parse(stdout.toString()).roots : stderr;
  };
  const file = ['--config', join(folder, 'liif.json')];
  const env = { LIIF_ROOTS: 'c,d' };
  expect(await rootsOf([...file, 'e,f', 'g'], env)).toEqual(['e,f', 'g']);
  expect(await rootsOf(file, env)).toEqual(['c', 'd']);
  expect(await rootsOf(file)).toEqual(['a,b']);
  expect(await rootsOf([])).toEqual(['.']);
  expect(await rootsOf(['--remotes', 'far=http://h/'])).toEqual([]);
  expect(await rootsOf([''])).toBe(
    'liif: setting roots.0: expected paths of directories and files but received "" (PATH...)\n',
  );
});

it('liif serve takes signals that come together for one, and ends at once at a later one', async () => {
  const child = startLiif(['serve', await directoryOf(), '--port', '0', '--no-watch', '--stop-ms', '60000']);
  let output = '';
  child.stdout!.on('data', (part) => {
    output += part;
  });
  const end = finished(child);
  await eventually(() => /^http:.*\n/m.test(output));
  // Half a request holds the stop up.
  const client = connect(Number(new URL(/^http:.*$/m.exec(output)![0]).port), '127.0.0.1');
  client.on('error', () => {});
  client.write('GET / HTTP/1.1\r\n');
  await once(client, 'connect');
  await pause(100);
  // Of other kinds, or two that wait are one.
  child.kill('SIGINT');
  child.kill('SIGTERM');
  await pause(700);
  expect([child.exitCode, child.signalCode]).toEqual([null, null]);
  // By its own clock it may be too early: it has been asked later than it was to be.
  await eventually(async () => {
    child.kill('SIGINT');
    await pause(200);
    return child.signalCode !== null;
  });
  await end;
  expect(child.signalCode).toBe('SIGINT');
});

it('liif serve refuses one port for both', async () => {
  const port = String(await freePort());
  const { code, stderr } = await runLiif(['serve', '--port', port, '--health-port', port]);
  expect({ code, stderr }).toEqual({
    code: 2,
    stderr: expect.stringContaining('healthPort: is the same as port'),
  });
});
