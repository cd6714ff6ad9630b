import { afterEach, describe, expect, it, vi } from 'vitest';
import { Problem } from '../../../src/server/problem.ts';
import { Admission } from '../../../src/server/render/admission.ts';

function admission(options: { waiting?: number; maxWaitMs?: number; running?: number } = {}) {
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
    await new Promise((resolve) => setTimeout(resolve, 20));
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
    const { gate } = admission();
    const problem = await refusal(gate.enter('region', 1, 1001, never));
    expect([problem.status, problem.retryAfter]).toEqual([413, undefined]);
    expect(problem.members).toEqual({ limit: 1000, requested: 1001 });
  });

  it('lets regions run together only within their memory', async () => {
    const { gate } = admission({ running: 2 });
    const leave = await gate.enter('region', 1, 800, never);
    let second = false;
    const waiting = gate.enter('region', 1, 300, never).then(() => {
      second = true;
    });
    await new Promise((resolve) => setTimeout(resolve, 10));
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
    const { gate } = admission();
    for (let i = 0; i < 40; i++) {
      const leave = await gate.enter('tile', 1, 1, never);
      await new Promise((resolve) => setTimeout(resolve, 4));
      leave();
    }
    expect(gate.counts('tile').pace).toBeGreaterThan(2);
  });
});
