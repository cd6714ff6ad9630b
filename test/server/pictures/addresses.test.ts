import dns from 'node:dns';
import { createServer, type Server } from 'node:http';
import { syncBuiltinESMExports } from 'node:module';
import type { AddressInfo } from 'node:net';
import { Agent, fetch } from 'undici';
import { afterAll, describe, expect, it, vi } from 'vitest';
import { addressCheck, guardedAgent } from '../../../src/server/pictures/addresses.ts';
import { encoded, eventually, picture, pixelsOf, startServer } from '../server-fixture.ts';

const bytes = Buffer.from(await encoded(picture(200, 150)));

/** A server of files with ranges, that can be told to misbehave. */
interface FileServer {
  readonly url: string;
  requests: string[];
  mode: 'good' | 'slow' | 'short' | 'error' | 'redirect' | 'gone';
  body: Buffer;
  readonly server: Server;
}

async function fileServer(): Promise<FileServer> {
  const state = { requests: [] as string[], mode: 'good' as FileServer['mode'], body: bytes };
  const server = createServer((request, response) => {
    state.requests.push(`${request.method} ${request.url} ${request.headers.authorization ?? ''}`);
    const range = /^bytes=(\d+)-(\d+)$/.exec(request.headers.range ?? '');
    if (state.mode === 'slow') return;
    if (state.mode === 'error') return response.writeHead(500).end();
    if (state.mode === 'gone') return response.writeHead(404).end();
    if (state.mode === 'redirect') return response.writeHead(302, { location: '/other.liif' }).end();
    const from = Number(range?.[1]);
    const to = Math.min(Number(range?.[2]), state.body.length - 1);
    response.writeHead(206, {
      'content-range': `bytes ${from}-${to}/${state.body.length}`,
      'content-length': to - from + 1,
      etag: `"${state.body.length}-${state.body[state.body.length >> 1]}"`,
    });
    if (state.mode === 'short') {
      response.write(state.body.subarray(from, from + 10));
      setTimeout(() => response.destroy(), 20);
    } else response.end(state.body.subarray(from, to + 1));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  afterAll(() => {
    server.closeAllConnections();
    server.close();
  });
  return Object.assign(state, { server, url: `http://127.0.0.1:${(server.address() as AddressInfo).port}` });
}

describe('addresses', () => {
  it('of the public internet may be connected to', () => {
    const check = addressCheck([]);
    for (const address of ['8.8.8.8', '93.184.216.34', '2606:4700::6810:84e5', '2a00:1450:4001::200e'])
      expect([address, check(address)]).toEqual([address, true]);
  });

  it.each([
    '127.0.0.1',
    '127.8.9.10',
    '0.0.0.0',
    '10.1.2.3',
    '172.16.0.1',
    '172.31.255.255',
    '192.168.0.1',
    '169.254.169.254',
    '100.64.0.1',
    '192.0.0.1',
    '192.0.2.1',
    '198.18.0.1',
    '198.51.100.1',
    '203.0.113.1',
    '224.0.0.1',
    '240.0.0.1',
    '255.255.255.255',
    '::',
    '::1',
    'fe80::1',
    'fc00::1',
    'fd12:3456::1',
    'ff02::1',
    'fec0::1',
    '::ffff:127.0.0.1',
    '::ffff:7f00:1',
    '::127.0.0.1',
    '64:ff9b::7f00:1',
    '64:ff9b:1::7f00:1',
    '2002:7f00:1::',
    '2001:0:7f00:1::',
    '2001:db8::1',
    '100::1',
    'not an address',
    '',
  ])('%s may not', (address) => {
    expect(addressCheck([])(address)).toBe(false);
  });

  it.each([
    // Not global by IANA's registries, whatever library says otherwise, and the neighbors of their bounds.
    ['192.0.0.0', '192.0.0.255', '191.255.255.255', '192.0.1.0'],
    ['192.31.196.0', '192.31.196.255', '192.31.195.255', '192.31.197.0'],
    ['192.52.193.0', '192.52.193.255', '192.52.192.255', '192.52.194.0'],
    ['192.175.48.0', '192.175.48.255', '192.175.47.255', '192.175.49.0'],
    ['198.18.0.0', '198.19.255.255', '198.17.255.255', '198.20.0.0'],
    ['2001::', '2001:1ff:ffff::', '2000::1', '2001:200::'],
    ['2001:db8::', '2001:db8:ffff::', '2001:db7:ffff::', '2001:db9::'],
    ['2002::', '2002:ffff::', '2001:ffff::', '2003::'],
    ['3fff::', '3fff:fff:ffff::', '3ffe:ffff::', '3fff:1000::'],
  ])('from %s to %s may not, and those beside them may', (first, last, before, after) => {
    expect([first, last, before, after].map(addressCheck([]))).toEqual([false, false, true, true]);
  });

  it('of IPv6 may only where addresses are given out, and not where they carry others', () => {
    const check = addressCheck([]);
    for (const address of ['1fff::1', '4000::1', '5f00::1', '8000::1', 'c000::1', 'e000::1', '1000::1'])
      expect([address, check(address)]).toEqual([address, false]);
  });

  it('of one family are not in ranges of the other, and IPv4 in IPv6 is IPv4', () => {
    const check = addressCheck(['::/0']);
    expect(['10.0.0.1', '::ffff:10.0.0.1', 'fd00::1'].map(check)).toEqual([false, false, true]);
    expect(addressCheck(['0.0.0.0/0'])('fd00::1')).toBe(false);
  });

  it('in a given range may', () => {
    const check = addressCheck(['127.0.0.0/8', 'fd00::/8']);
    expect(['127.1.1.1', '::ffff:127.0.0.1', 'fd00::1', '10.0.0.1'].map(check)).toEqual([
      true,
      true,
      true,
      false,
    ]);
    expect(() => addressCheck(['127.0.0.1'])).toThrow(/range/);
  });
});

it.each([
  ['a name', (port: number) => `http://liif.test:${port}/`],
  ['an address', (port: number) => `http://127.0.0.1:${port}/`],
])('%s that may be connected to is, by one address or by all that a name has', async (_kind, urlOf) => {
  const files = await fileServer();
  const found = [
    { address: '192.0.2.1', family: 4 },
    { address: '127.0.0.1', family: 4 },
  ];
  const lookup = vi.spyOn(dns, 'lookup').mockImplementation(((...given: unknown[]) => {
    const callback = given.at(-1) as (error: null, addresses: typeof found) => void;
    callback(null, found);
  }) as never);
  syncBuiltinESMExports();
  const agent = guardedAgent(addressCheck(['127.0.0.0/8']), 10_000);
  try {
    const answer = await fetch(`${urlOf(Number(new URL(files.url).port))}a.liif`, {
      dispatcher: agent,
      headers: { range: 'bytes=0-9' },
    });
    expect([answer.status, (await answer.arrayBuffer()).byteLength]).toEqual([206, 10]);
  } finally {
    lookup.mockRestore();
    syncBuiltinESMExports();
    await agent.destroy();
  }
});

it('are not promised where undici is another: there is no remote folder then', () => {
  // As Bun has it.
  const { destroy } = Agent.prototype;
  Reflect.set(Agent.prototype, 'destroy', undefined);
  try {
    expect(() => guardedAgent(addressCheck([]), 1000)).toThrow('remotes need Node');
  } finally {
    Agent.prototype.destroy = destroy;
  }
});

describe('a remote folder', () => {
  it('is read by ranges and served like a file here', async () => {
    const files = await fileServer();
    const server = await startServer({
      roots: [],
      remotes: [`far=${files.url}/pictures`],
      allowAddresses: ['127.0.0.0/8'],
    });
    const tile = await server.get('/far%2Fdeep%2Fpicture/0/0/0.png');
    expect(tile.status).toBe(200);
    expect(await pixelsOf(tile.body)).toMatchObject({ width: 256 });
    expect(files.requests[0]).toMatch(/^GET \/pictures\/deep\/picture\.liif /);
    // The same by its whole address, and on a virtual canvas.
    const whole = encodeURIComponent(`${files.url}/pictures/deep/picture`);
    expect((await server.get(`/${whole}/0/0/0.png`)).headers.etag).toBe(tile.headers.etag);
    expect((await server.get(`/iiif/3/${whole}@8x/info.json`)).json().width).toBe(1600);
    expect((await server.get('/far%2Fdeep%2Fpicture/file')).body.equals(bytes)).toBe(true);
  });

  it('is not left: other hosts, folders, users and spellings are a 404 and are not asked for', async () => {
    const files = await fileServer();
    const port = new URL(files.url).port;
    const server = await startServer({
      roots: [],
      remotes: [`far=${files.url}/pictures/`],
      allowAddresses: ['127.0.0.0/8'],
    });
    for (const url of [
      `${files.url}/other/picture`,
      `${files.url}/pictures/../other/picture`,
      `${files.url}/pictures/%2e%2e/other/picture`,
      `${files.url}/pictures%2f..%2fother/picture`,
      `${files.url}/picturesque/picture`,
      `http://user@127.0.0.1:${port}/pictures/a`,
      `http://127.0.0.1:${port}@evil.example/pictures/a`,
      `http://evil.example/pictures/a`,
      `http://169.254.169.254/latest/meta-data`,
      `https://127.0.0.1:${port}/pictures/a`,
      `file:///etc/passwd`,
      `gopher://127.0.0.1/`,
      `${files.url}/pictures/a?x=`,
      `${files.url}/pictures/a#x`,
    ]) {
      const { status } = await server.get(`/${encodeURIComponent(url)}/0/0/0.png`);
      expect([url, Math.floor(status / 100)]).toEqual([url, 4]);
    }
    expect(files.requests).toEqual([]);
  });

  it.each([
    '127.0.0.1',
    '127.1',
    '2130706433',
    '0x7f000001',
    '0x7f.1',
    '0177.0.0.1',
    '017700000001',
    'localhost',
    '[::1]',
    '[::ffff:127.0.0.1]',
    '[0:0:0:0:0:ffff:7f00:1]',
    '0',
  ])('at %s is refused when it is connected to, although it is configured', async (host) => {
    const files = await fileServer();
    const server = await startServer({
      roots: [],
      remotes: [`far=http://${host}:${new URL(files.url).port}/`],
    });
    const answer = await server.get('/far%2Fpicture/0/0/0.png');
    expect(answer.status).toBe(403);
    const { instance, ...told } = answer.json();
    expect(instance).toMatch(/^urn:liif:request:/);
    expect(told).toEqual({
      type: 'urn:liif:problem:address-refused',
      title: 'Forbidden',
      status: 403,
      detail: 'The picture lies where this server does not go.',
    });
    expect(files.requests).toEqual([]);
  });

  it('that is slow, short, broken, gone or elsewhere gives the right status, and recovers', async () => {
    const files = await fileServer();
    const options = { roots: [], remotes: [`far=${files.url}/`], allowAddresses: ['127.0.0.0/8'] };
    const impatient = await startServer({ ...options, remoteTimeoutMs: 300 });
    files.mode = 'slow';
    expect((await impatient.get('/far%2Fpicture/0/0/0.png')).status).toBe(504);
    const server = await startServer(options);
    const statusOf = async (name: string) => (await server.get(`/far%2F${name}/0/0/0.png`)).status;
    files.mode = 'short';
    expect(await statusOf('short')).toBe(502);
    files.mode = 'error';
    expect(await statusOf('error')).toBe(502);
    files.mode = 'redirect';
    expect(await statusOf('redirect')).toBe(502);
    files.mode = 'gone';
    expect(await statusOf('gone')).toBe(404);
    files.mode = 'good';
    files.body = Buffer.from('not a picture at all, but long enough to be read as one');
    expect(await statusOf('damaged')).toBe(500);
    files.body = bytes;
    // What has failed is not asked for again at once.
    const asked = files.requests.length;
    for (const name of ['short', 'gone', 'damaged']) expect(await statusOf(name)).not.toBe(200);
    expect(files.requests.length).toBe(asked);
    for (const name of ['short', 'error', 'redirect', 'gone', 'damaged'])
      await eventually(async () => (await statusOf(name)) === 200);
    await eventually(async () => (await impatient.get('/far%2Fpicture/0/0/0.png')).status === 200);
    expect(server.log.filter(({ level }) => (level as number) >= 40).length).toBeGreaterThan(0);
  });

  it('costs a request for the first tile of a small picture, and two for that of one beyond 16 KiB', async () => {
    const files = await fileServer();
    const server = await startServer({
      roots: [],
      remotes: [`far=${files.url}/`],
      allowAddresses: ['127.0.0.0/8'],
      remoteFreshMs: 100_000,
    });
    const requestsFor = async (name: string, body: Buffer) => {
      files.requests = [];
      files.body = body;
      expect((await server.get(`/far%2F${name}/0/0/0.png`)).status).toBe(200);
      return files.requests.length;
    };
    expect(bytes.length).toBeLessThan(16_384);
    expect(await requestsFor('small', bytes)).toBe(1);
    const larger = Buffer.from(await encoded(picture(500, 300)));
    expect(larger.length).toBeGreaterThan(20_000);
    expect(await requestsFor('larger', larger)).toBe(2);
  });

  it('whose file is replaced gives the new one, never a mixture', async () => {
    const files = await fileServer();
    const server = await startServer({
      roots: [],
      remotes: [`far=${files.url}/`],
      allowAddresses: ['127.0.0.0/8'],
      remoteFreshMs: 500,
    });
    const old = await server.get('/far%2Fpicture/0/0/0.png');
    files.body = Buffer.from(await encoded(picture(200, 150, 3, 99)));
    await eventually(async () => {
      const now = await server.get('/far%2Fpicture/0/0/0.png');
      expect([200, 503]).toContain(now.status);
      return now.status === 200 && now.headers.etag !== old.headers.etag && !now.body.equals(old.body);
    });
  });

  it('of S3 is asked with signed requests at its endpoint', async () => {
    const files = await fileServer();
    const server = await startServer({
      roots: [],
      remotes: ['bucket=s3://photos/2026'],
      s3Endpoint: files.url,
      allowAddresses: ['127.0.0.0/8'],
      credentials: { accessKeyId: 'AKIDEXAMPLE', secretAccessKey: 'secret' },
    });
    expect((await server.get('/bucket%2Fpicture/0/0/0.png')).status).toBe(200);
    expect(files.requests[0]).toMatch(
      /^GET \/photos\/2026\/picture\.liif AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE\/\d{8}\/us-east-1\/s3\/aws4_request, SignedHeaders=[a-z0-9;-]*host[a-z0-9;-]*, Signature=[0-9a-f]{64}$/,
    );
    const s3 = encodeURIComponent('s3://photos/2026/picture');
    expect((await server.get(`/${s3}/0/0/0.png`)).status).toBe(200);
  });
});
