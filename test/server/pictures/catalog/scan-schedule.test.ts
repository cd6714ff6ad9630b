import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { ScanSchedule } from '../../../../src/server/pictures/catalog/scan-schedule.ts';

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] });
});
afterEach(() => {
  vi.useRealTimers();
});

/** A schedule of scans that take `ms` of a clock that stands still else, and what each resolves with. */
function schedule(ms: number, scan: (number: number) => boolean = () => true) {
  const begun: number[] = [];
  const errors: Error[] = [];
  const scans = new ScanSchedule({
    scan: async () => {
      begun.push(performance.now());
      await new Promise((resolve) => setTimeout(resolve, ms));
      return scan(begun.length);
    },
    onError: (error) => errors.push(error),
  });
  return { scans, errors, begun: () => begun.map((at) => Math.round(at - begun[0]!)) };
}

it('a scan that could not read everything is repeated a second after it, and one that could is not', async () => {
  const { scans, begun } = schedule(10, (number) => number === 3);
  void scans.scanNow();
  await vi.advanceTimersByTimeAsync(10_000);
  expect(begun()).toEqual([0, 1010, 2020]);
  await scans.close();
});

it('a scan of an event that fails is told of, and the next one follows its event', async () => {
  const { scans, errors, begun } = schedule(10, (number) => {
    if (number === 1) throw new Error('no memory');
    return true;
  });
  scans.scanSoon();
  await vi.advanceTimersByTimeAsync(5000);
  expect(errors).toMatchObject([{ message: 'no memory' }]);
  expect(begun()).toHaveLength(1);
  scans.scanSoon();
  await vi.advanceTimersByTimeAsync(1000);
  expect(begun()).toHaveLength(2);
  await scans.close();
});

it('calls during a scan share one more, also where that fails, and none begins after closing', async () => {
  const { scans, begun } = schedule(10, (number) => {
    if (number === 1) throw new Error('no memory');
    return true;
  });
  const first = scans.scanNow().catch(({ message }: Error) => message);
  await vi.advanceTimersByTimeAsync(5);
  const others = [scans.scanNow(), scans.scanNow()];
  expect(others[0]).toBe(others[1]);
  await vi.advanceTimersByTimeAsync(100);
  expect(await first).toBe('no memory');
  await Promise.all(others);
  expect(begun()).toEqual([0, 10]);
  scans.scanSoon();
  await scans.close();
  scans.scanSoon();
  await scans.scanNow();
  expect([begun().length, vi.getTimerCount()]).toEqual([2, 0]);
});

it('closing waits for the running scan', async () => {
  const { scans } = schedule(10);
  void scans.scanNow();
  await vi.advanceTimersByTimeAsync(1);
  let closed = false;
  const closing = scans.close().then(() => {
    closed = true;
  });
  await vi.advanceTimersByTimeAsync(8);
  expect(closed).toBe(false);
  await vi.advanceTimersByTimeAsync(1);
  await closing;
});

it('events are waited for until they pause, but no longer than a second, and those during a scan cause one more', async () => {
  const { scans, begun } = schedule(10);
  scans.scanSoon();
  await vi.advanceTimersByTimeAsync(100);
  scans.scanSoon();
  await vi.advanceTimersByTimeAsync(149);
  expect(begun()).toEqual([]);
  await vi.advanceTimersByTimeAsync(6);
  scans.scanSoon();
  await vi.advanceTimersByTimeAsync(4995);
  expect(begun()).toEqual([0, 160]);
  for (let i = 0; i < 14; i++) {
    scans.scanSoon();
    await vi.advanceTimersByTimeAsync(100);
  }
  expect(begun()).toEqual([0, 160, 6000]);
  await scans.close();
});
