import { expect, it } from 'vitest';
import { OverviewFirst } from '../../viewer/tiles/overview-first.ts';

it('tiles wait for an overview that is on its way, whatever becomes of it', async () => {
  const overview = new OverviewFirst();
  await overview.settled();
  for (const fails of [false, true]) {
    let end: (() => void) | undefined;
    const image = overview.expect(
      new Promise<void>((resolve, reject) => {
        end = () => (fails ? reject(new Error('no')) : resolve());
      }),
    );
    let begun = false;
    const tile = overview.settled().then(() => {
      begun = true;
    });
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(begun).toBe(false);
    end!();
    await tile;
    expect(
      await image.then(
        () => false,
        () => true,
      ),
    ).toBe(fails);
  }
});

it('tiles wait no longer than they are allowed to, and further ones not at all', async () => {
  const overview = new OverviewFirst(50);
  void overview.expect(new Promise(() => undefined));
  await overview.settled();
  const soon = new Promise((resolve) => setTimeout(resolve, 0, 'later'));
  expect(await Promise.race([overview.settled(), soon])).toBe(undefined);
});
