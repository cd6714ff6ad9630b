import { getEventListeners, once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, describe, expect, it, onTestFinished, vi } from 'vitest';
import { chunkList } from '../../src/container/chunks.ts';
import { FormatError, SourceError } from '../../src/errors.ts';
import { type HttpSourceOptions, httpSource } from '../../src/reader/http-source.ts';
import { openReader } from '../../src/reader/reader.ts';
import { noise, noiseChunks, sampleFile } from '../container/sample-file.ts';
import { readChunks } from './read-chunks.ts';

type Answer = (request: IncomingMessage, response: ServerResponse, count: number) => void;

const bytes = noise(100_000, 11);
let server: Server | undefined;

/** Serves with `answer`; `count` tells the requests apart, from 1. */
async function serve(answer: Answer, options: HttpSourceOptions = {}) {
  const seen = { requests: 0, connections: 0, ranges: [] as string[] };
  server = createServer((request, response) => {
    seen.requests++;
    seen.ranges.push(request.headers.range ?? '');
    answer(request, response, seen.requests);
  });
  server.on('connection', () => seen.connections++);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  return { source: httpSource(`http://127.0.0.1:${port}/file.liif`, { timeoutMs: 2000, ...options }), seen };
}

afterEach(() => {
  server?.closeAllConnections();
  server?.close();
});

interface Ranges {
  readonly data?: Uint8Array;
  readonly headers?: Record<string, string>;
  /** Total in Content-Range; default the true one. */
  readonly total?: string;
}

/** A well-behaved server of ranges. */
function ranges({
  data = bytes,
  headers = { etag: '"one"' },
  total = String(data.length),
}: Ranges = {}): Answer {
  return (request, response) => {
    const match = /^bytes=(\d+)-(\d+)$/.exec(request.headers.range ?? '');
    const first = Number(match?.[1]);
    const last = Math.min(Number(match?.[2]), data.length - 1);
    if (first >= data.length) {
      response.writeHead(416, { ...headers, 'content-range': `bytes */${total}` }).end();
      return;
    }
    response.writeHead(206, {
      ...headers,
      'content-range': `bytes ${first}-${last}/${total}`,
      'content-length': last - first + 1,
    });
    response.end(data.subarray(first, last + 1));
  };
}

/** Answers in turn; the last one from then on. */
function inTurn(...answers: Answer[]): Answer {
  return (request, response, count) =>
    answers[Math.min(count, answers.length) - 1]!(request, response, count);
}

const status =
  (code: number): Answer =>
  (_, response) =>
    void response.writeHead(code).end('an error page');

/** The whole file whatever was asked for. */
const whole =
  (data: Uint8Array, headers: Record<string, string | number> = { 'content-length': data.length }): Answer =>
  (_, response) =>
    void response.writeHead(200, headers).end(data);

/** A 206 with exactly these headers and this body. */
const part =
  (headers: Record<string, string | number>, body: Uint8Array): Answer =>
  (_, response) =>
    void response.writeHead(206, headers).end(body);

describe('httpSource', () => {
  it('asks for ranges, uncompressed, and learns the size on the way', async () => {
    let accepted: string | undefined;
    const { source, seen } = await serve((request, response, count) => {
      accepted = request.headers['accept-encoding'];
      ranges()(request, response, count);
    });
    expect(source.size).toBeUndefined();
    expect(await source.getBytes(0, 16_384)).toEqual(bytes.slice(0, 16_384));
    expect(source.size).toBe(100_000);
    expect(await source.getBytes(70_000, 10)).toEqual(bytes.slice(70_000, 70_010));
    expect(await source.getBytes(99_990, 100)).toEqual(bytes.slice(99_990));
    expect(seen.ranges).toEqual(['bytes=0-16383', 'bytes=70000-70009', 'bytes=99990-99999']);
    expect(await source.getBytes(100_000, 10)).toEqual(new Uint8Array());
    expect(await source.getBytes(0, 0)).toEqual(new Uint8Array());
    expect(seen.requests).toBe(3);
    expect(accepted).toBe('identity');
  });

  it('uses its connections again', async () => {
    const { source, seen } = await serve(ranges());
    for (let i = 0; i < 20; i++) await source.getBytes(i, 10);
    expect(seen.requests).toBe(20);
    expect(seen.connections).toBeLessThan(4);
  });

  it('sends the headers it was given, but its own range', async () => {
    let sent: IncomingMessage['headers'] = {};
    const answer: Answer = (request, response, count) => {
      sent = request.headers;
      ranges()(request, response, count);
    };
    const { source } = await serve(answer, { headers: { authorization: 'Bearer x', range: 'bytes=0-0' } });
    await source.getBytes(5, 5);
    expect(sent.authorization).toBe('Bearer x');
    expect(sent.range).toBe('bytes=5-9');
  });

  it('takes an empty file for what it is', async () => {
    const { source } = await serve(ranges({ data: new Uint8Array() }));
    expect(await source.getBytes(0, 100)).toEqual(new Uint8Array());
    expect(source.size).toBe(0);
    await expect(openReader(source)).rejects.toThrow(FormatError);
  });

  it('bears a server that does not tell the size', async () => {
    const file = sampleFile({ chunks: noiseChunks(16, () => 8000) });
    const { source } = await serve(ranges({ data: file.bytes, total: '*' }));
    const reader = await openReader(source);
    expect(source.size).toBeUndefined();
    expect(await readChunks(reader, chunkList(reader.header))).toEqual(file.chunks);
    expect(await source.getBytes(file.bytes.length - 10, 20)).toEqual(file.bytes.slice(-10));
    expect(source.size).toBe(file.bytes.length);
  });

  it('keeps the whole of a small file where the server does not do ranges', async () => {
    const { source, seen } = await serve(whole(bytes));
    expect(await source.getBytes(10, 10)).toEqual(bytes.slice(10, 20));
    expect(await source.getBytes(99_990, 20)).toEqual(bytes.slice(99_990));
    expect(source.size).toBe(100_000);
    expect(seen.requests).toBe(1);
  });

  it('keeps what such a server sends without telling how much it is', async () => {
    const { source, seen } = await serve((_, response) => {
      response.writeHead(200, { etag: '"one"' });
      response.write(bytes.subarray(0, 40_000));
      setTimeout(() => response.end(bytes.subarray(40_000)), 20);
    });
    expect(await source.getBytes(39_990, 20)).toEqual(bytes.slice(39_990, 40_010));
    expect(source.size).toBe(100_000);
    expect(await source.getBytes(99_990, 20)).toEqual(bytes.slice(99_990));
    expect(seen.requests).toBe(1);
  });

  it('refuses a server without ranges where the file is large, however it tells', async () => {
    const large: Answer = (_, response) => {
      response.writeHead(200, { 'content-length': 64 * 2 ** 20 + 1 });
      response.write(new Uint8Array(1000));
    };
    await expect((await serve(large)).source.getBytes(0, 10)).rejects.toThrow('larger than 64 MiB');
    server?.closeAllConnections();
    server?.close();
    let sent = 0;
    const endless: Answer = (_, response) => {
      response.writeHead(200);
      const more = () => {
        do sent += 2 ** 20;
        while (!response.destroyed && response.write(new Uint8Array(2 ** 20)));
      };
      response.on('drain', more);
      more();
    };
    const { source, seen } = await serve(endless, { timeoutMs: 20_000 });
    await expect(source.getBytes(0, 10)).rejects.toThrow('larger than 64 MiB');
    expect(seen.requests).toBe(1);
    expect(sent).toBeLessThan(96 * 2 ** 20);
  });

  it('asks for the rest where the server sends less than was asked for', async () => {
    const most = 20_000;
    const { source, seen } = await serve((request, response) => {
      const [first, last] = request.headers.range!.slice(6).split('-').map(Number) as [number, number];
      const end = Math.min(last, first + most - 1, bytes.length - 1);
      response.writeHead(206, { etag: '"one"', 'content-range': `bytes ${first}-${end}/${bytes.length}` });
      response.end(bytes.subarray(first, end + 1));
    });
    expect(await source.getBytes(5_000, 50_000)).toEqual(bytes.slice(5_000, 55_000));
    expect(seen.ranges).toEqual(['bytes=5000-54999', 'bytes=25000-54999', 'bytes=45000-54999']);
    expect(await source.getBytes(70_000, 50_000)).toEqual(bytes.slice(70_000));
    expect(seen.requests).toBe(5);
  });

  const other = noise(100_000, 12);
  const changed: [string, Answer][] = [
    ['another ETag', ranges({ data: other, headers: { etag: '"two"' } })],
    ['no ETag any more', ranges({ data: other, headers: {} })],
    ['another size', ranges({ data: other.subarray(1) })],
    ['fewer bytes than the range', ranges({ data: other.subarray(0, 40_000) })],
    ['the whole of another', whole(other, { 'content-length': 100_000, etag: '"two"' })],
  ];
  it.each(changed)('rejects when the next answer has %s', async (_, answer) => {
    const { source, seen } = await serve(inTurn(ranges(), answer));
    await source.getBytes(0, 100);
    const next = source.getBytes(50_000, 100);
    await expect(next).rejects.toThrow(SourceError);
    await expect(next).rejects.toMatchObject({ code: 'changed' });
    expect(seen.requests).toBe(2);
  });

  it('tells by Last-Modified where there is no ETag', async () => {
    const at = (time: string) => ranges({ headers: { 'last-modified': time } });
    const monday = 'Mon, 05 Jan 2026 00:00:00 GMT';
    const { source } = await serve(inTurn(at(monday), at(monday), at('Tue, 06 Jan 2026 00:00:00 GMT')));
    await source.getBytes(0, 100);
    await source.getBytes(100, 100);
    await expect(source.getBytes(200, 100)).rejects.toThrow('changed');
  });

  const hundred = bytes.slice(0, 100);
  const wrong: [string, Answer, string][] = [
    ['another range', part({ 'content-range': 'bytes 100-199/100000' }, hundred), 'another range'],
    [
      'more than was asked for',
      part({ 'content-range': 'bytes 0-199/100000' }, noise(200, 1)),
      'another range',
    ],
    ['less than was asked for', part({ 'content-range': 'bytes 0-49/100000' }, noise(50, 1)), 'fewer bytes'],
    [
      'a range that ends before it begins',
      part({ 'content-range': 'bytes 0--1/100000' }, hundred),
      'another range',
    ],
    ['nonsense for a range', part({ 'content-range': 'pages 1-2' }, hundred), 'another range'],
    ['no range', part({}, hundred), 'does not say which range'],
    [
      'several ranges',
      part({ 'content-type': 'multipart/byteranges; boundary=x' }, hundred),
      'does not say which range',
    ],
    [
      'a body longer than its range',
      part({ 'content-range': 'bytes 0-99/100000' }, noise(101, 1)),
      'more bytes',
    ],
    [
      'a compressed body',
      part({ 'content-range': 'bytes 0-99/100000', 'content-encoding': 'gzip' }, hundred),
      'compresses (gzip)',
    ],
    ['a page that is not there', status(404), '404'],
    ['a closed door', status(403), '403'],
    ['a range it cannot satisfy', status(416), '416'],
    ['nothing', status(204), '204'],
  ];
  it.each(wrong)('rejects at once when the server sends %s', async (_, answer, words) => {
    const { source, seen } = await serve(answer);
    const read = source.getBytes(0, 100);
    await expect(read).rejects.toThrow(SourceError);
    await expect(read).rejects.toThrow(words);
    await expect(read).rejects.toThrow('/file.liif');
    expect(seen.requests).toBe(1);
  });

  const drop: Answer = (request) => void request.socket.destroy();
  const short: Answer = (request, response) => {
    response.writeHead(206, { etag: '"one"', 'content-range': 'bytes 0-99/100000', 'content-length': 100 });
    response.write(bytes.subarray(0, 50), () => request.socket.destroy());
  };
  const shorter = part({ etag: '"one"', 'content-range': 'bytes 0-99/100000' }, bytes.subarray(0, 50));
  const passing: [string, Answer][] = [
    ['a dropped connection', drop],
    ['a connection dropped within the body', short],
    ['a body that ends early', shorter],
    ['a 500', status(500)],
    ['a 503', status(503)],
    ['a 429', status(429)],
  ];
  it.each(passing)('tries again after %s, and not for ever', async (_, answer) => {
    const { source, seen } = await serve(inTurn(answer, answer, ranges()));
    expect(await source.getBytes(0, 100)).toEqual(hundred);
    expect(seen.requests).toBe(3);
    server?.closeAllConnections();
    server?.close();
    const again = await serve(answer);
    await expect(again.source.getBytes(0, 100)).rejects.toThrow(SourceError);
    expect(again.seen.requests).toBe(3);
    server?.closeAllConnections();
    server?.close();
    const once = await serve(answer, { retries: 0 });
    await expect(once.source.getBytes(0, 100)).rejects.toThrow(SourceError);
    expect(once.seen.requests).toBe(1);
  });

  it('closes the connection of an answer that it refuses unread', async () => {
    let closed: Promise<unknown> | undefined;
    const { source } = await serve((_, response) => {
      closed = once(response, 'close');
      response.writeHead(206, { 'content-range': 'bytes 100-199/100000' }).write('without end');
    });
    await expect(source.getBytes(0, 100)).rejects.toThrow('another range');
    await closed;
  });

  it('says so when nobody listens', async () => {
    const { source } = await serve(ranges(), { retries: 0 });
    server?.close();
    await expect(source.getBytes(0, 100)).rejects.toThrow(/ECONNREFUSED|fetch failed/);
  });

  it('gives up a server that does not answer in time', async () => {
    // Long enough for the request to arrive.
    const { source, seen } = await serve(() => {}, { timeoutMs: 500, retries: 1 });
    await expect(source.getBytes(0, 100)).rejects.toMatchObject({
      code: 'slow',
      message: expect.stringContaining('no answer within 500 ms'),
    });
    expect(seen.requests).toBe(2);
  });

  it('gives up a server whose body does not end, but not a slow one', async () => {
    const header = { 'content-range': 'bytes 0-99/100000', 'content-length': 100 };
    const endless: Answer = (_, response) => {
      response.writeHead(206, header);
      response.write(bytes.subarray(0, 99));
    };
    const { source } = await serve(endless, { timeoutMs: 60, retries: 0 });
    await expect(source.getBytes(0, 100)).rejects.toThrow('no answer within');
    server?.closeAllConnections();
    server?.close();
    // 700 ms for its head, 700 for its body: both within their time, not within one.
    const slow: Answer = (_, response) => {
      setTimeout(() => response.writeHead(206, header).write(bytes.subarray(0, 50)), 700);
      setTimeout(() => response.end(bytes.subarray(50, 100)), 1400);
    };
    const patient = await serve(slow, { timeoutMs: 1200, retries: 0 });
    expect(await patient.source.getBytes(0, 100)).toEqual(hundred);
  });

  it('gives up a whole file of unknown length that does not end', async () => {
    const { source } = await serve(
      (_, response) => void response.writeHead(200).write(bytes.subarray(0, 999)),
      {
        timeoutMs: 60,
        retries: 0,
      },
    );
    await expect(source.getBytes(0, 100)).rejects.toMatchObject({ code: 'slow' });
  });

  it('stops a request when aborted, with the reason of the signal', async () => {
    const controller = new AbortController();
    let closed: Promise<unknown> | undefined;
    const { source } = await serve((request) => {
      closed = once(request.socket, 'close');
      controller.abort(new Error('enough'));
    });
    await expect(source.getBytes(0, 100, controller.signal)).rejects.toThrow('enough');
    await closed;
  });

  it('stops between attempts when aborted', async () => {
    const controller = new AbortController();
    const busy: Answer = (request, response, count) => {
      status(503)(request, response, count);
      // The third attempt is to come 200 ms after the answer to the second.
      if (count === 2) setTimeout(() => controller.abort(new Error('enough')), 50);
    };
    const { source, seen } = await serve(busy, { retries: 10 });
    await expect(source.getBytes(0, 100, controller.signal)).rejects.toThrow('enough');
    await new Promise((resolve) => setTimeout(resolve, 500));
    expect(seen.requests).toBe(2);
  });

  it('waits twice as long before each further attempt, and not for a caller who gives up', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] });
    onTestFinished(() => void vi.useRealTimers());
    const asked: number[] = [];
    const fetch = async () => {
      asked.push(Math.round(performance.now()));
      throw new TypeError('no network');
    };
    const source = httpSource('http://localhost/a', { fetch, retries: 3 });
    const failed = source.getBytes(0, 1).catch((reason: unknown) => reason);
    await vi.advanceTimersByTimeAsync(1000);
    expect(asked.map((at) => at - asked[0]!)).toEqual([0, 100, 300, 700]);
    expect(await failed).toMatchObject({ _tag: 'SourceError' });
    const controller = new AbortController();
    const stopped = source.getBytes(0, 1, controller.signal).catch((reason: unknown) => reason);
    await vi.advanceTimersByTimeAsync(50);
    controller.abort(new Error('enough'));
    // While the clock stands still.
    expect(await stopped).toMatchObject({ message: 'enough' });
  });

  it('stops in its last attempt, too, with the reason of the signal', async () => {
    const controller = new AbortController();
    const fetch = async () => {
      controller.abort(new Error('enough'));
      throw new TypeError('no network');
    };
    const source = httpSource('http://localhost/a', { fetch, retries: 0 });
    await expect(source.getBytes(0, 1, controller.signal)).rejects.toThrow('enough');
  });

  /** A source whose server gives these answers, one after the other. */
  const answering = (...answers: [status: number, range: string | undefined, body: Uint8Array | null][]) => {
    const asked: (string | undefined)[] = [];
    const fetch = async (_: unknown, init?: RequestInit) => {
      asked.push(new Headers(init?.headers).get('range') ?? undefined);
      const [status, range, body] = answers.shift()!;
      return new Response(body as BodyInit | null, {
        status,
        headers: range === undefined ? {} : { 'content-range': range },
      });
    };
    return { source: httpSource('http://localhost/a', { fetch, timeoutMs: 1000, retries: 0 }), asked };
  };

  it('refuses a range that begins before, and that there be none where the file goes on', async () => {
    const { source } = answering([206, 'bytes 50-199/500', noise(150, 1)], [416, 'bytes */500', null]);
    await expect(source.getBytes(100, 100)).rejects.toThrow('another range');
    await expect(source.getBytes(100, 100)).rejects.toThrow('416');
  });

  it('goes by the size that it knows where a later answer does not tell it', async () => {
    const { source } = answering([206, 'bytes 0-99/500', hundred], [206, 'bytes 100-199/*', hundred]);
    await source.getBytes(0, 100);
    expect(await source.getBytes(100, 100)).toEqual(hundred);
    expect(source.size).toBe(500);
  });

  it('keeps nothing of a whole file once it is closed', async () => {
    const { source, asked } = answering([200, undefined, hundred], [200, undefined, hundred]);
    await source.getBytes(0, 10);
    await source.close();
    await source.getBytes(0, 10);
    expect(asked).toHaveLength(2);
  });

  it('waits for a body as long as bytes come, 16 a millisecond', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] });
    onTestFinished(() => void vi.useRealTimers());
    const fetch = async (_: unknown, init?: RequestInit) => {
      const body = new ReadableStream<Uint8Array>({
        start(controller) {
          init?.signal?.addEventListener('abort', () => controller.error(new Error('aborted')));
          controller.enqueue(noise(32_000, 1));
          setTimeout(() => controller.enqueue(noise(100, 2)), 3900);
        },
      });
      return new Response(body, { status: 206, headers: { 'content-range': 'bytes 0-32099/32100' } });
    };
    const source = httpSource('http://localhost/a', { fetch, timeoutMs: 1000, retries: 0 });
    const read = source.getBytes(0, 32_100).catch((reason: unknown) => reason);
    await vi.advanceTimersByTimeAsync(4050);
    // 1000 ms for the head, as many for the body, 2000 for what came at first, and 6 for the rest.
    expect(await read).toMatchObject({ code: 'slow', message: expect.stringContaining('4006 ms') });
  });

  it('leaves no timer behind, and nothing on a signal that outlives many requests', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    onTestFinished(() => void vi.useRealTimers());
    const { signal } = new AbortController();
    const { source } = answering([206, 'bytes 0-99/500', hundred], [404, undefined, null]);
    await source.getBytes(0, 100, signal);
    await expect(source.getBytes(100, 100, signal)).rejects.toThrow('404');
    expect(vi.getTimerCount()).toBe(0);
    expect(getEventListeners(signal, 'abort')).toEqual([]);
  });
});

describe('a reader over HTTP', () => {
  it('needs one request for header and index and one for neighbors', async () => {
    const file = sampleFile({ chunks: noiseChunks(16, () => 20_000) });
    const { source, seen } = await serve(ranges({ data: file.bytes }));
    const reader = await openReader(source);
    expect(seen.ranges).toEqual(['bytes=0-65535']);
    const ids = chunkList(reader.header);
    expect(await readChunks(reader, ids.slice(4, 8))).toEqual(file.chunks.slice(4, 8));
    expect(seen.ranges.slice(1)).toEqual([`bytes=${file.chunkOffsets[4]}-${file.chunkOffsets[8]! - 1}`]);
    await reader.verify();
  });

  it('blames the source, not the file, when another file takes its place', async () => {
    const file = sampleFile({ chunks: noiseChunks(16, () => 20_000) });
    const old = ranges({ data: file.bytes });
    const { source } = await serve(
      inTurn(old, ranges({ data: noise(file.bytes.length, 1), headers: { etag: '"two"' } })),
    );
    const reader = await openReader(source);
    await expect(readChunks(reader, chunkList(reader.header).slice(4, 8))).rejects.toThrow(SourceError);
  });

  it('refuses a file that is cut off, and one with bytes behind it', async () => {
    const { bytes: data } = sampleFile();
    const cut = await serve(ranges({ data: data.subarray(0, -1) }));
    await expect(openReader(cut.source)).rejects.toMatchObject({ _tag: 'FormatError', section: 'section' });
    server?.closeAllConnections();
    server?.close();
    const longer = new Uint8Array(data.length + 5);
    longer.set(data);
    await expect(openReader((await serve(ranges({ data: longer }))).source)).rejects.toThrow('bytes follow');
  });
});
