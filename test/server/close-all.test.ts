import { expect, it } from 'vitest';
import { closeAll } from '../../src/server/close-all.ts';

it('closes everything in order, whatever fails, and tells of every failure', async () => {
  const closed: string[] = [];
  const closing = (name: string, failure?: Error) => async () => {
    await new Promise((resolve) => setTimeout(resolve, 1));
    closed.push(name);
    if (failure) throw failure;
  };
  await closeAll([closing('a'), () => void closed.push('b'), closing('c')]);
  const lost = new Error('the device is lost');
  await expect(closeAll([closing('d', lost), closing('e')])).rejects.toBe(lost);
  const both = closeAll([
    closing('f', lost),
    () => {
      throw new Error('no such file');
    },
    closing('g'),
  ]);
  await expect(both).rejects.toMatchObject({
    message: 'the device is lost; no such file',
    errors: [lost, { message: 'no such file' }],
  });
  expect(closed.join('')).toBe('abcdefg');
});
