import { once } from 'node:events';
import { createServer } from 'node:http';
import { connect } from 'node:net';
import express from 'express';
import { expect, it } from 'vitest';
import { listen } from '../../../../src/server/connections/listen.ts';
import { sendFile } from '../../../../src/server/http/answer/send-file.ts';
import { afterThisFile } from '../../../after-file.ts';

it('a file whose client hangs up while a piece of it is read is not sent on', async () => {
  const gone = new Error('the client has gone');
  const controller = new AbortController();
  const app = express();
  const sent = new Promise<void>((resolve) => {
    app.get('/', (request, response) => {
      const picture = {
        bytes: 2 ** 30,
        // In spite of the signal, as reads of files that have begun.
        async getBytes(_offset: number, length: number) {
          client.destroy();
          await once(request.socket, 'close');
          controller.abort(gone);
          return new Uint8Array(length);
        },
      };
      resolve(sendFile({ request, response, signal: controller.signal }, picture, 'a'.repeat(64)));
    });
  });
  const server = createServer(app);
  const port = await listen(server, 'port', { port: 0, host: '127.0.0.1' });
  afterThisFile(() => server.close());
  const client = connect(port, '127.0.0.1');
  client.write('GET / HTTP/1.1\r\nHost: localhost\r\n\r\n');
  await expect(sent).rejects.toBe(gone);
}, 10_000);
