import { createServer, type ServerResponse } from 'node:http';
import { expect, it } from 'vitest';
import { listen } from '../../../src/server/listen.ts';
import { Remotes } from '../../../src/server/pictures/remotes.ts';
import { afterThisFile } from '../server-fixture.ts';

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
