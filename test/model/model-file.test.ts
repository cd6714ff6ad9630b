import { mkdtemp, rm, truncate, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { FormatError, SourceError, UnsupportedError } from '../../src/errors.ts';
import { readModel } from '../../src/model/model-file.ts';
import { hashModel } from '../../src/network/load.ts';
import { tinyModelBytes } from '../fixtures/tiny-model.ts';

const bytes = tinyModelBytes({ seed: 21 });
let folder: string;
let path: string;
let server: Server;
let url: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'liif-model-'));
  path = join(folder, 'tiny.safetensors');
  await writeFile(path, bytes);
  server = createServer((request, response) => {
    const range = /^bytes=(\d+)-(\d+)$/.exec(request.headers.range ?? '');
    if (request.url !== '/tiny.safetensors' || !range) {
      response.writeHead(404).end();
      return;
    }
    const first = Number(range[1]);
    const part = bytes.subarray(first, Number(range[2]) + 1);
    response
      .writeHead(206, { 'content-range': `bytes ${first}-${first + part.length - 1}/${bytes.length}` })
      .end(part);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/tiny.safetensors`;
});
afterAll(async () => {
  await new Promise((resolve) => server.close(resolve));
  await rm(folder, { recursive: true, force: true });
});

it('reads a path, URLs, bytes and a Blob into the same model', async () => {
  const { hash, synthesis } = await readModel(bytes);
  expect(hash).toBe(await hashModel(bytes));
  for (const file of [path, pathToFileURL(path), url, new Blob([bytes as Uint8Array<ArrayBuffer>])])
    expect(await readModel(file)).toMatchObject({ hash, synthesis });
});

it('names the file that does not arrive, is damaged, no model or of another version', async () => {
  const bad = join(folder, 'bad.safetensors');
  const failing = async (file: Uint8Array | string) => {
    await writeFile(bad, file);
    return expect(readModel(bad)).rejects;
  };
  const flipped = Uint8Array.from(bytes);
  // The first of the tensors.
  flipped[8 + new DataView(bytes.buffer).getUint32(0, true)]! ^= 1;
  await (await failing(flipped)).toThrow(/bad\.safetensors: model at byte 0: its hash is [0-9a-f]{64}, not /);
  await (await failing(flipped)).toThrow(FormatError);
  await (await failing(bytes.subarray(0, 40_000))).toThrow(/bad\.safetensors: model at byte \d+: tensors of/);
  await (await failing('no model')).toThrow(/bad\.safetensors: model at byte 0: a header of/);
  await (await failing('')).toThrow(/bad\.safetensors: model at byte 0: expected at least 8 bytes/);
  const newer = tinyModelBytes({
    change: ({ metadata }) => {
      metadata.version = '2';
    },
  });
  await (await failing(newer)).toThrow(UnsupportedError);
  await (await failing(newer)).toThrow(/bad\.safetensors: model of version "2"/);
  await expect(readModel(join(folder, 'no.safetensors'))).rejects.toThrow(SourceError);
  await expect(readModel(url.replace('tiny', 'no'))).rejects.toThrow(
    /no\.safetensors: the server answered 404/,
  );
  await expect(readModel(flipped)).rejects.toThrow(/^model at byte 0: its hash/);
  // What the message says anyway is a name, too.
  await expect(readModel(new File([flipped], 'model'))).rejects.toThrow(/^model: model at byte 0: its hash/);
});

it('refuses a file larger than any model before it reads it', async () => {
  const large = join(folder, 'large.safetensors');
  await writeFile(large, bytes);
  await truncate(large, 2 ** 40);
  await expect(readModel(large)).rejects.toThrow(
    /large\.safetensors: model at byte 0: 1099511627776 bytes, more than the 268435456 of the largest model/,
  );
});
