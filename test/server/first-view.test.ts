import { expect, it } from 'vitest';
import { directoryOf, encoded, picture, startServer } from './server-fixture.ts';

it.each([
  ['of 256 pixels', 2, 4, 3, ''],
  ['of 512 pixels', 1, 2, 2, '@2x'],
])(
  'whoever opens a large picture gets all tiles %s of it at half scale, though they are asked for at once',
  async (_, z, columns, rows, ratio) => {
    const server = await startServer({
      roots: [await directoryOf({ 'large.liif': await encoded(picture(2048, 1536)) })],
      threads: 1,
    });
    const answers = await Promise.all(
      Array.from({ length: columns * rows }, (_, i) =>
        server.get(`/large/${z}/${i % columns}/${Math.floor(i / columns)}${ratio}.jpg`),
      ),
    );
    expect(answers.map(({ status }) => status)).toEqual(Array(columns * rows).fill(200));
  },
);
