import { createServer } from 'node:http';
import express from 'express';
import { expect, it } from 'vitest';
import { listen } from '../../src/server/connections/listen.ts';
import { createApp } from '../../src/server/index.ts';
import { afterThisFile } from '../after-file.ts';
import { ask, directoryOf, encoded, picture, testEngine } from './server-fixture.ts';

it('pictures are part of hosts that are no Express, which say what they are mounted at, and may have set a status of their own', async () => {
  const directory = await directoryOf({ 'a.liif': await encoded(picture(60, 40)) });
  const pictures = await createApp({ roots: [directory], openEngine: testEngine, logLevel: 'silent' });
  afterThisFile(() => pictures.close());
  const server = createServer((request, response) => {
    response.statusCode = 404;
    const [originalUrl, baseUrl] = [request.url!, '/pictures'];
    Object.assign(request, { originalUrl, baseUrl, url: originalUrl.slice(baseUrl.length) });
    pictures(request, response);
  });
  const port = await listen(server, 'port', { port: 0, host: '127.0.0.1' });
  afterThisFile(() => server.close());
  const url = `http://127.0.0.1:${port}`;
  expect((await ask(url, '/pictures/a/0/0/0.png')).status).toBe(200);
  expect((await ask(url, '/pictures/ready')).status).toBe(200);
  const { status, json } = await ask(url, '/pictures/iiif/3/a/info.json');
  expect(status).toBe(200);
  expect(json().id).toBe(`${url}/pictures/iiif/3/a`);
  expect((await ask(url, '/pictures/nothing')).status).toBe(404);
});

it('pictures behind their gate are part of a site as they are without it', async () => {
  const directory = await directoryOf({ 'a.liif': await encoded(picture(60, 40)) });
  const pictures = await createApp({ roots: [directory], openEngine: testEngine, logLevel: 'silent' });
  afterThisFile(() => pictures.close());
  const site = express();
  site.get('/own', (_request, response) => void response.send('own'));
  site.use('/pictures', pictures.guarded);
  site.get('/pictures-too', (_request, response) => void response.send('too'));
  const server = createServer(site);
  const port = await listen(server, 'port', { port: 0, host: '127.0.0.1' });
  afterThisFile(() => server.close());
  const url = `http://127.0.0.1:${port}`;
  expect((await ask(url, '/own')).body.toString()).toBe('own');
  expect((await ask(url, '/pictures-too')).body.toString()).toBe('too');
  expect((await ask(url, '/pictures/a/0/0/0.png')).status).toBe(200);
  expect((await ask(url, '/pictures/iiif/3/a/info.json')).json().id).toBe(`${url}/pictures/iiif/3/a`);
  expect((await ask(url, '/pictures/nothing')).json().type).toBe('urn:liif:problem:not-found');
  expect((await ask(url, '/pictures/ready')).json().status).toBe('ready');
});
