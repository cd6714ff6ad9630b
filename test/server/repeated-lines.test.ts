import { pino } from 'pino';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { RepeatedLines } from '../../src/server/repeated-lines.ts';

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

function lines() {
  const written: Record<string, unknown>[] = [];
  const log = pino({}, { write: (line: string) => void written.push(JSON.parse(line)) });
  return { written, lines: new RepeatedLines(log) };
}

it('the first line of a kind is written at once, and the last of each minute with the number of lines', () => {
  const { written, lines: repeated } = lines();
  for (let i = 0; i < 5; i++) repeated.write('warn', 'busy', { i }, 'busy');
  repeated.write('error', 'damaged a', {}, 'damaged');
  expect(written).toMatchObject([
    { level: 40, i: 0, msg: 'busy' },
    { level: 50, msg: 'damaged' },
  ]);
  expect(written[0]).not.toHaveProperty('repeated');
  vi.advanceTimersByTime(60_000);
  expect(written.slice(2)).toMatchObject([{ level: 40, i: 4, repeated: 4, msg: 'busy' }]);
});

it('a kind that has been quiet for a minute is written at once again', () => {
  const { written, lines: repeated } = lines();
  repeated.write('warn', 'busy', {}, 'busy');
  vi.advanceTimersByTime(60_000);
  repeated.write('warn', 'busy', {}, 'busy');
  expect(written).toHaveLength(2);
});

it('kinds without number take no memory without bound', () => {
  const { written, lines: repeated } = lines();
  for (let i = 0; i < 5000; i++) repeated.write('warn', `kind ${i}`, {}, 'many');
  expect(written).toHaveLength(1001);
  vi.advanceTimersByTime(60_000);
  expect(written.at(-1)).toMatchObject({ repeated: 3999 });
  expect(vi.getTimerCount()).toBe(1);
});
