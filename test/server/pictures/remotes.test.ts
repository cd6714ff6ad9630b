import { createServer, type ServerResponse } from 'node:http';
import { expect, it } from 'vitest';
import { listen } from '../../../src/server/connections/listen.ts';
import { Remotes } from '../../../src/server/pictures/remotes.ts';
import { afterThisFile } from '../../after-file.ts';

it('what becomes of a request to a remote is not what became of the one before', async () => {
  const notThere = (response: ServerResponse) => void response.writeHead(404).end();
  let answer = notThere;
  const far = createServer((_request, response) => answer(response));
  const port = await listen(far, 'port', { port: 0, host: '127.0.0.1' });
  const remotes = new Remotes({
    remotes: [`far=http://127.0.0.1:${port}/`],
    allowAddresses: ['127.0.0.0/8'],
    s3Endpoint: undefined,
    s3Region: 'us-east-1',
    remoteTimeoutMs: 10_000,
  });
  afterThisFile(async () => {
    await remotes.close();
    far.close();
  });
  const source = remotes.open(remotes.locate('far/a')!);
  await expect(source.getBytes(0, 10)).rejects.toMatchObject({ status: 404 });
  answer = (response) => void response.destroy();
  await expect(source.getBytes(0, 10)).rejects.toMatchObject({ status: 502, code: 'remote-failed' });
  answer = notThere;
  await expect(source.getBytes(0, 10)).rejects.toMatchObject({ status: 404 });
});

it('a URL as an id is another spelling of a file of the remote, or nothing', async () => {
  const remotes = new Remotes({
    remotes: ['far=http://127.0.0.1:81/x/%7Eme/'],
    allowAddresses: ['127.0.0.0/8'],
    s3Endpoint: undefined,
    s3Region: 'us-east-1',
    remoteTimeoutMs: 10_000,
  });
  afterThisFile(() => remotes.close());
  const plain = remotes.locate('far/a b');
  expect(plain?.url).toBe('http://127.0.0.1:81/x/%7Eme/a%20b.liif');
  for (const path of ['127.0.0.1:81/x/~me/a b', '127.1:81/x/%7eme/%61%20b', '0x7f000001:81/x/y/../%7Eme/a b'])
    expect(remotes.locate(`http://${path}`)).toEqual(plain);
  for (const path of ['..;/secret', 'a/..;x=1/secret', '.;/secret', '..%3b/secret', '%2e%2e/secret'])
    expect(remotes.locate(`http://127.0.0.1:81/x/~me/${path}`)).toBeUndefined();
});

it('a remote that refuses files is told of, with what an S3 service says of why', async () => {
  const answers = [
    [403, '<?xml version="1.0"?><Error><Code>RequestTimeTooSkewed</Code><Message>secret</Message></Error>'],
    [401, ''],
    [404, '<Error><Code>NoSuchKey</Code></Error>'],
  ] as const;
  let status: number;
  let body: string;
  const far = createServer((_request, response) => void response.writeHead(status).end(body));
  const port = await listen(far, 'port', { port: 0, host: '127.0.0.1' });
  const told: string[][] = [];
  const remotes = new Remotes(
    {
      remotes: ['far=s3://pictures/'],
      allowAddresses: ['127.0.0.0/8'],
      s3Endpoint: `http://127.0.0.1:${port}`,
      s3Region: 'us-east-1',
      remoteTimeoutMs: 10_000,
    },
    { accessKeyId: 'id', secretAccessKey: 'key' },
    (...given) => told.push(given),
  );
  afterThisFile(async () => {
    await remotes.close();
    far.close();
  });
  for ([status, body] of answers)
    await expect(remotes.open(remotes.locate('far/a')!).getBytes(0, 10)).rejects.toMatchObject({
      status: 404,
    });
  expect(told).toEqual([
    ['far', '403 RequestTimeTooSkewed'],
    ['far', '401'],
  ]);
});
