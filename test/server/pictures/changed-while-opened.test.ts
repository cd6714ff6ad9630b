import { expect, it } from 'vitest';
import { SourceError } from '../../../src/errors.ts';
import { openLiifPicture } from '../../../src/server/pictures/liif-picture.ts';
import { PictureChanged } from '../../../src/server/problem.ts';

it('a .liif that is written over while it is opened has changed, and may be opened again', async () => {
  let closed = false;
  const source = {
    name: 'a.liif',
    size: 1000,
    getBytes: async () => {
      throw new SourceError('a.liif: another one', { code: 'changed' });
    },
    close: async () => {
      closed = true;
    },
  };
  const opened = openLiifPicture(source, 'a', () => Promise.reject(new Error('not asked for')));
  await expect(opened).rejects.toBeInstanceOf(PictureChanged);
  expect(closed).toBe(true);
});
