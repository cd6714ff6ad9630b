import { setImmediate as turn } from 'node:timers/promises';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { Problem } from '../../../src/server/problem.ts';
import { Admission } from '../../../src/server/render/admission.ts';

function admission(
  options: { waiting?: number; maxWaitMs?: number; running?: number; firstPace?: number } = {},
) {
  const shed: string[] = [];
  const lane = {
    running: options.running ?? 1,
    waiting: options.waiting ?? 2,
    maxWaitMs: options.maxWaitMs ?? 1000,
  };
  return {
    shed,
    gate: new Admission({
      lanes: { tile: lane, region: lane, decode: lane, open: lane },
      regionBytes: 1000,
      ...(options.firstPace !== undefined && { firstPace: options.firstPace }),
      onShed: (name, reason) => shed.push(`${name} ${reason}`),
    }),
  };
}

const never = new AbortController().signal;

afterEach(() => {
  vi.useRealTimers();
});

async function refusal(promise: Promise<unknown>): Promise<Problem> {
  try {
    await promise;
  } catch (error) {
    if (error instanceof Problem) return error;
    throw error;
  }
  throw new Error('it was admitted');
}

describe('admission', () => {
  it('decodes images side by side as long as their memory suffices, and one that needs more than that alone', async () => {
    const { gate } = admission({ running: 4, waiting: 4 });
    const leaves = [await gate.enter('decode', 1, 600, never), await gate.enter('decode', 1, 400, never)];
    const large = gate.enter('decode', 1, 5000, never);
    const small = gate.enter('decode', 1, 10, never);
    expect(gate.counts('decode')).toMatchObject({ running: 2, waiting: 2 });
    leaves[0]!();
    expect(gate.counts('decode')).toMatchObject({ running: 1, waiting: 2 });
    leaves[1]!();
    (await large)();
    (await small)();
    expect(gate.counts('decode')).toMatchObject({ running: 0, waiting: 0 });
  });

  it('lets as many run as there are places, and the next when one leaves', async () => {
    const { gate } = admission();
    const leave = await gate.enter('tile', 1, 1, never);
    let second = false;
    const waiting = gate.enter('tile', 1, 1, never).then((done) => {
      second = true;
      return done;
    });
    await turn();
    expect(second).toBe(false);
    expect(gate.counts('tile')).toMatchObject({ running: 1, waiting: 1 });
    leave();
    leave(); // leaving twice counts once
    (await waiting)();
    expect(gate.counts('tile')).toMatchObject({ running: 0, waiting: 0 });
  });

  it('keeps tiles clear of regions', async () => {
    const { gate } = admission();
    await gate.enter('region', 1, 1, never);
    await gate.enter('tile', 1, 1, never);
  });

  it('sends requests away when the queue is full, with a time to come back', async () => {
    const { gate, shed } = admission({ waiting: 1 });
    await gate.enter('tile', 1, 1, never);
    void gate.enter('tile', 1, 1, never).catch(() => {});
    const problem = await refusal(gate.enter('tile', 1, 1, never));
    expect([problem.status, problem.retryAfter]).toEqual([503, 1]);
    expect(shed).toEqual(['tile queue-full']);
  });

  it('counts work, not requests: one long wait is too long', async () => {
    const { gate, shed } = admission({ waiting: 100, maxWaitMs: 500 });
    await gate.enter('tile', 2000, 1, never);
    expect((await refusal(gate.enter('tile', 1, 1, never))).status).toBe(503);
    expect(shed).toEqual(['tile wait-too-long']);
  });

  it('turns a tile away that would make those that run late, though there is a place', async () => {
    const { gate, shed } = admission({ running: 4, maxWaitMs: 1000 });
    const leave = await gate.enter('tile', 1400, 1, never); // alone: however long it takes
    expect((await refusal(gate.enter('tile', 1400, 1, never))).status).toBe(503);
    expect(shed).toEqual(['tile wait-too-long']);
    await gate.enter('tile', 50, 1, never);
    leave();
  });

  it('does not take the first of all for slow before any is done', async () => {
    vi.useFakeTimers({ toFake: ['performance'] });
    const { gate, shed } = admission({ running: 8, maxWaitMs: 1000 });
    for (let i = 0; i < 5; i++) await gate.enter('tile', 40, 1, never);
    vi.advanceTimersByTime(300);
    for (let i = 0; i < 3; i++) await gate.enter('tile', 40, 1, never);
    expect(gate.counts('tile').pace).toBeLessThan(4);
    expect(shed).toEqual([]);
  });

  it('does not take those that run side by side for slow when the first of them ends', async () => {
    vi.useFakeTimers({ toFake: ['performance'] });
    const { gate, shed } = admission({ running: 6, maxWaitMs: 10_000 });
    const leave = await gate.enter('tile', 1500, 1, never);
    for (let i = 0; i < 5; i++) await gate.enter('tile', 1500, 1, never);
    vi.advanceTimersByTime(3500);
    leave();
    await gate.enter('tile', 1500, 1, never);
    expect(shed).toEqual([]);
  });

  it('sends those away that waited too long after all', async () => {
    const { gate } = admission({ maxWaitMs: 30 });
    await gate.enter('tile', 1, 1, never);
    expect((await refusal(gate.enter('tile', 1, 1, never))).status).toBe(503);
    expect(gate.counts('tile').waiting).toBe(0);
  });

  it('tells those that can never fit, and not to come back', async () => {
    const { gate, shed } = admission();
    const problem = await refusal(gate.enter('region', 1, 1001, never));
    expect(shed).toEqual(['region too-large']);
    expect([problem.status, problem.retryAfter]).toEqual([413, undefined]);
    expect(problem.members).toEqual({ limit: 1000, requested: 1001 });
    (await gate.enter('region', 1, 1000, never))();
  });

  it('lets regions run together only within their memory', async () => {
    const { gate } = admission({ running: 2 });
    const leave = await gate.enter('region', 1, 800, never);
    let second = false;
    const waiting = gate.enter('region', 1, 300, never).then(() => {
      second = true;
    });
    await turn();
    expect(second).toBe(false);
    leave();
    await waiting;
  });

  it('forgets those whose client has gone', async () => {
    const { gate } = admission();
    const leave = await gate.enter('tile', 1, 1, never);
    const gone = new AbortController();
    const waiting = gate.enter('tile', 1, 1, gone.signal);
    gone.abort(new Error('gone'));
    await expect(waiting).rejects.toThrow('gone');
    expect(gate.counts('tile').waiting).toBe(0);
    leave();
    await gate.enter('tile', 1, 1, never);
  });

  it('learns how long work takes here', async () => {
    vi.useFakeTimers({ toFake: ['performance'] });
    const { gate } = admission();
    for (let i = 0; i < 40; i++) {
      const leave = await gate.enter('tile', 1, 1, never);
      vi.advanceTimersByTime(4);
      leave();
    }
    expect(gate.counts('tile').pace).toBeGreaterThan(2);
  });
});

describe('who waits', () => {
  it('is told how long that may be: for half of what runs and all that waits, and not for what has gone', async () => {
    const { gate, shed } = admission({ waiting: 10, maxWaitMs: 10_000 });
    vi.useFakeTimers({ toFake: ['performance', 'setTimeout', 'clearTimeout'] });
    await gate.enter('open', 12_000, 1, never);
    const gone = new AbortController();
    const first = gate.enter('open', 5000, 1, gone.signal);
    expect((await refusal(gate.enter('open', 1, 1, never))).retryAfter).toBe(11);
    expect(shed).toEqual(['open wait-too-long']);
    gone.abort(new Error('gone'));
    await expect(first).rejects.toThrow('gone');
    void gate.enter('open', 1, 1, never).catch(() => {});
    expect(gate.counts('open')).toMatchObject({ running: 1, waiting: 1 });
  });

  it('is told to come back within a minute, however long the queue is', async () => {
    const { gate } = admission();
    await gate.enter('open', 1e6, 1, never);
    expect((await refusal(gate.enter('open', 1, 1, never))).retryAfter).toBe(60);
  });

  it('stays behind those that came before, though there is room for it alone', async () => {
    const { gate } = admission({ running: 4 });
    await gate.enter('decode', 1, 600, never);
    void gate.enter('decode', 1, 5000, never).catch(() => {});
    void gate.enter('decode', 1, 10, never).catch(() => {});
    expect(gate.counts('decode')).toMatchObject({ running: 1, waiting: 2 });
  });

  it.each(['has waited too long', 'has gone'])('makes room for those behind when it %s', async (reason) => {
    vi.useFakeTimers({ toFake: ['performance', 'setTimeout', 'clearTimeout'] });
    const { gate, shed } = admission({ running: 4, maxWaitMs: 1000 });
    await gate.enter('decode', 1, 600, never);
    const gone = new AbortController();
    const large = gate.enter('decode', 1, 5000, gone.signal);
    const refused = expect(large).rejects.toThrow(reason === 'has gone' ? 'gone' : 'busy');
    vi.advanceTimersByTime(10);
    const small = gate.enter('decode', 1, 10, never);
    if (reason === 'has gone') gone.abort(new Error('gone'));
    else vi.advanceTimersByTime(990);
    await refused;
    expect(shed).toEqual(reason === 'has gone' ? [] : ['decode wait-too-long']);
    expect(gate.counts('decode')).toMatchObject({ running: 2, waiting: 0 });
    (await small)();
  });

  it('and has got its place is not sent away any more', async () => {
    vi.useFakeTimers({ toFake: ['performance', 'setTimeout', 'clearTimeout'] });
    const { gate, shed } = admission({ maxWaitMs: 1000 });
    const leave = await gate.enter('tile', 1, 1, never);
    const second = gate.enter('tile', 1, 1, never);
    leave();
    await second;
    vi.advanceTimersByTime(2000);
    expect(shed).toEqual([]);
  });

  it('and whose client has gone before it came is not admitted, though there is a place', async () => {
    const { gate } = admission();
    await expect(gate.enter('tile', 1, 1, AbortSignal.abort(new Error('gone')))).rejects.toThrow('gone');
    expect(gate.counts('tile')).toMatchObject({ running: 0, waiting: 0 });
  });

  it('finds the memory free that others have left', async () => {
    const { gate } = admission({ running: 4 });
    const leave = await gate.enter('decode', 1, 600, never);
    leave();
    leave(); // leaving twice counts once
    await gate.enter('decode', 1, 500, never);
    await gate.enter('decode', 1, 500, never);
    expect(gate.counts('decode')).toMatchObject({ running: 2, waiting: 0 });
    void gate.enter('decode', 1, 500, never).catch(() => {});
    expect(gate.counts('decode')).toMatchObject({ running: 2, waiting: 1 });
  });
});

describe('the pace of a lane', () => {
  /** After work of 100 that took a second, of which so much was done. */
  async function paceAfter(done: number | undefined): Promise<number> {
    vi.useFakeTimers({ toFake: ['performance'] });
    const { gate } = admission();
    const leave = await gate.enter('tile', 100, 1, never);
    vi.advanceTimersByTime(1000);
    leave(done);
    vi.useRealTimers();
    return gate.counts('tile').pace;
  }

  it('is the time for what got done, in which half counts of what was two seconds before', async () => {
    const kept = 20 * Math.SQRT1_2;
    expect(await paceAfter(undefined)).toBeCloseTo((kept + 1000) / (kept + 100), 6);
    expect(await paceAfter(0.5)).toBeCloseTo((kept + 1000) / (kept + 50), 6);
  });

  it('takes half of what runs for done, at most', async () => {
    vi.useFakeTimers({ toFake: ['performance'] });
    const { gate } = admission({ running: 2 });
    await gate.enter('open', 100, 1, never);
    vi.advanceTimersByTime(1000);
    await gate.enter('open', 1, 1, never);
    const kept = 20 * Math.SQRT1_2;
    expect(gate.counts('open').pace).toBeCloseTo((kept + 1000) / (kept + 50), 6);
  });

  it('has bounds, or one request would shut a lane or open it to all', async () => {
    vi.useFakeTimers({ toFake: ['performance'] });
    const { gate } = admission();
    for (const [lane, work, ms, pace] of [
      ['open', 1, 1e6, 100],
      ['tile', 1e9, 1, 0.01],
    ] as const) {
      const leave = await gate.enter(lane, work, 1, never);
      vi.advanceTimersByTime(ms);
      leave();
      expect(gate.counts(lane).pace).toBe(pace);
    }
  });

  it('is in the beginning what the server says', () => {
    expect(admission({ firstPace: 0.25 }).gate.counts('tile').pace).toBe(0.25);
  });
});
