import { utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { unwritable } from '../../../../src/image/atomic-file.ts';
import { problemOf } from '../../../../src/server/problem.ts';
import { directoryOf, encoded, eventually, picture, startServer } from '../../server-fixture.ts';

const whole = await encoded(picture(120, 80));
const directory = await directoryOf({ 'broken.liif': whole.slice(0, 60), 'a.liif': whole });

describe('the log of a failure', () => {
  it('names picture, address, client and request, once for many', async () => {
    const server = await startServer({ roots: [directory] });
    const answers = [];
    for (const z of [0, 1, 2]) answers.push(await server.get(`/broken/${z}/0/0.png?v=1`));
    expect(answers.map(({ status }) => status)).toEqual([500, 500, 500]);
    expect(server.log).toMatchObject([
      {
        level: 50,
        picture: 'broken',
        method: 'GET',
        url: '/broken/0/0/0.png?v=1',
        client: '127.0.0.1',
        request: answers[0]!.headers['x-request-id'],
        code: 'damaged-file',
        err: { type: 'FormatError' },
      },
    ]);
  });

  it('is there for pictures of a list, too', async () => {
    const server = await startServer({ roots: [directory] });
    for (let i = 0; i < 3; i++)
      expect((await server.get('/api/images')).json().failed).toMatchObject([{ id: 'broken' }]);
    expect(server.log).toMatchObject([{ level: 40, picture: 'broken', err: { type: 'FormatError' } }]);
  });

  it('has the address that a trusted proxy has seen', async () => {
    const server = await startServer({ roots: [directory], trustProxy: true });
    const headers = { 'x-forwarded-for': '6.6.6.6, 2001:db8::1' };
    await server.get('/broken/0/0/0.png', { headers });
    expect(server.log).toMatchObject([{ client: '2001:db8::1' }]);
    const other = await startServer({ roots: [directory] });
    await other.get('/broken/0/0/0.png', { headers });
    expect(other.log).toMatchObject([{ client: '127.0.0.1' }]);
  });
});

it('a request keeps the name that it comes with, if that can stand in a log', async () => {
  const server = await startServer({ roots: [directory] });
  const nameOf = async (given?: string) =>
    (
      await server.get('/nothing/0/0/0.png', {
        headers: given === undefined ? {} : { 'x-request-id': given },
      })
    ).headers['x-request-id'];
  expect(await nameOf('7b1f:a/1+2=')).toBe('7b1f:a/1+2=');
  for (const given of [undefined, 'a b', '"', 'x'.repeat(129), '<script>'])
    expect(await nameOf(given)).toMatch(/^[0-9a-f-]{36}$/);
});

it('a file that is damaged and was changed just now may still be being written: try again', async () => {
  const folder = await directoryOf({ 'a.liif': whole, 'p.png': 'no image' });
  const server = await startServer({ roots: [folder] });
  expect((await server.get('/p.png/0/0/0.png')).status).toBe(500);
  await writeFile(join(folder, 'a.liif'), whole.slice(0, 200));
  await eventually(async () => (await server.get('/a/0/0/0.png')).status !== 200);
  const answer = await server.get('/a/0/0/0.png');
  expect([answer.status, answer.headers['retry-after'], answer.json().type]).toEqual([
    503,
    '1',
    'urn:liif:problem:picture-changed',
  ]);
  const before = new Date(Date.now() - 3_600_000);
  await utimes(join(folder, 'a.liif'), before, before);
  await eventually(async () => (await server.get('/a/0/0/0.png')).status === 500);
});

it.each([
  ['ENOSPC', 507, 'not-written', /no space/],
  ['EDQUOT', 507, 'not-written', /no space/],
  ['EROFS', 500, 'not-writable', /may not write/],
  ['EACCES', 500, 'not-writable', /may not write/],
  ['EIO', 500, 'not-written', /cannot write/],
])('a picture that cannot be written because of %s is a %d', (code, status, name, message) => {
  const problem = problemOf(unwritable('/srv/photos/a.liif', Object.assign(new Error(code), { code })));
  expect([problem.status, problem.code]).toEqual([status, name]);
  expect(problem.message).toMatch(message);
  expect(problem.message).not.toContain('/srv');
});
