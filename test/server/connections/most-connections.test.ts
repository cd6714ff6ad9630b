import { expect, it } from 'vitest';
import { mostConnections } from '../../../src/server/connections/most-connections.ts';

it('a server accepts as many connections as leave room for files, and not more than are of use', () => {
  expect([100, 400, 1024, 20_000, Number.POSITIVE_INFINITY].map(mostConnections)).toEqual([
    50, 200, 768, 10_000, 10_000,
  ]);
});
