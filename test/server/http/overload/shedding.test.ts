import { describe, expect, it } from 'vitest';
import { type LoopLook, Shedding } from '../../../../src/server/http/overload/shedding.ts';

const MAX_TURN_MS = 100;
const BUSY: LoopLook = {
  elapsedMs: 300,
  utilization: 1,
  processorMs: 300,
  requests: 100,
  turns: 2,
  longestTurnMs: 150,
  newcomers: 0,
};
const SHORT_TURNS: LoopLook = {
  elapsedMs: 50,
  utilization: 1,
  processorMs: 50,
  requests: 100,
  turns: 20,
  longestTurnMs: 5,
  newcomers: 5,
};
const RELAXED: LoopLook = {
  elapsedMs: 50,
  utilization: 0.3,
  processorMs: 15,
  requests: 20,
  turns: 10,
  longestTurnMs: 2,
  newcomers: 10,
};

function shedAfter(...looks: readonly LoopLook[]): Shedding {
  const shedding = new Shedding(MAX_TURN_MS);
  for (const look of looks) shedding.look(look);
  return shedding;
}

const times = (count: number, look: LoopLook) => Array.from({ length: count }, () => look);

describe('shedding', () => {
  it('lets all pass while turns are short, however busy the loop is', () => {
    expect(shedAfter(...times(100, SHORT_TURNS)).part).toBe(1);
  });

  it('lets all pass while each turn answers some thirty clients at once', () => {
    const crowd = {
      ...SHORT_TURNS,
      elapsedMs: 75,
      processorMs: 75,
      turns: 3,
      longestTurnMs: 30,
      newcomers: 0,
    };
    expect(shedAfter(...times(100, crowd)).part).toBe(1);
  });

  it('lets all pass while the loop rests between long turns', () => {
    expect(shedAfter(...times(100, { ...BUSY, utilization: 0.8 })).part).toBe(1);
  });

  it('lets all pass while turns are long because other programs take the processor', () => {
    expect(shedAfter(...times(100, { ...BUSY, processorMs: 60 })).part).toBe(1);
    expect(shedAfter(...times(100, { ...BUSY, processorMs: 60, newcomers: 2 })).part).toBe(1);
  });

  it('lets all pass again where the process is kept from running after an overload', () => {
    expect(shedAfter(...times(1000, BUSY), ...times(80, { ...BUSY, processorMs: 60 })).part).toBe(1);
  });

  it('is not alarmed by one long turn', () => {
    expect(shedAfter(SHORT_TURNS, BUSY, SHORT_TURNS, BUSY, RELAXED, BUSY).part).toBe(1);
  });

  it('refuses none of a few requests, which are not what keeps the loop busy', () => {
    expect(shedAfter(...times(100, { ...BUSY, requests: 10 })).part).toBe(1);
  });

  it('refuses most within two looks when long turns follow each other', () => {
    expect(shedAfter(BUSY, BUSY).part).toBeLessThanOrEqual(0.1);
  });

  it('refuses more while turns are long, and no more than that while they are short', () => {
    const before = shedAfter(BUSY, BUSY).part;
    expect(shedAfter(BUSY, BUSY, BUSY).part).toBeLessThan(before);
    expect(shedAfter(BUSY, BUSY, { ...BUSY, longestTurnMs: 60 }).part).toBeLessThan(before);
    expect(shedAfter(BUSY, BUSY, ...times(20, { ...SHORT_TURNS, utilization: 0.9 })).part).toBe(before);
  });

  it('does not refuse a few clients for ever that ask again at once', () => {
    expect(shedAfter(...times(1000, BUSY), ...times(200, SHORT_TURNS)).part).toBe(1);
  });

  it('refuses most as well where every turn accepts a connection, as more are waiting then', () => {
    const queueing = {
      elapsedMs: 50,
      utilization: 1,
      processorMs: 50,
      requests: 100,
      turns: 5,
      longestTurnMs: 12,
      newcomers: 5,
    };
    expect(shedAfter(queueing, queueing).part).toBeLessThanOrEqual(0.1);
    expect(shedAfter(...times(50, { ...queueing, newcomers: 2 })).part).toBe(1);
  });

  it('lets a few clients pass that take a new connection for each request: turns are short, but for garbage collections', () => {
    const few = { elapsedMs: 50, utilization: 1, processorMs: 50, requests: 40, turns: 40, newcomers: 40 };
    expect(shedAfter(...times(50, { ...few, longestTurnMs: 3 })).part).toBe(1);
    expect(shedAfter(...times(50, { ...few, longestTurnMs: 15 })).part).toBe(1);
  });

  it('is not alarmed by a new connection that brings many requests in one turn', () => {
    const pipelined = { ...SHORT_TURNS, turns: 1, longestTurnMs: 45, newcomers: 1 };
    expect(shedAfter(...times(50, pipelined)).part).toBe(1);
  });

  it('always lets some pass, or it would never learn that the load is gone', () => {
    const shedding = shedAfter(...times(1000, BUSY));
    expect(Array.from({ length: 100 }, () => shedding.passes()).filter(Boolean).length).toBeGreaterThan(0);
  });

  it('lets all pass again when the load is gone', () => {
    expect(shedAfter(...times(1000, BUSY), ...times(80, RELAXED)).part).toBe(1);
  });

  it('spreads those that pass evenly', () => {
    const shedding = shedAfter(BUSY, BUSY); // one of ten
    const passed = Array.from({ length: 1000 }, () => shedding.passes());
    for (let i = 0; i < 1000; i += 100) {
      const count = passed.slice(i, i + 100).filter(Boolean).length;
      expect(count).toBeGreaterThanOrEqual(9);
      expect(count).toBeLessThanOrEqual(11);
    }
  });

  it('lets as many pass as it says, while most do', () => {
    const shedding = shedAfter(BUSY, BUSY, ...times(32, RELAXED));
    expect(shedding.part).toBeGreaterThan(0.7);
    expect(shedding.part).toBeLessThan(0.95);
    const passed = Array.from({ length: 1000 }, () => shedding.passes()).filter(Boolean);
    expect(Math.abs(passed.length - 1000 * shedding.part)).toBeLessThan(2);
  });

  it('settles where the loop has time left, whatever the load is', () => {
    // A loop on which a request that passes takes 1 ms and a refusal 0.1 ms; 4000 requests a second.
    const shedding = new Shedding(MAX_TURN_MS);
    const parts: number[] = [];
    for (let i = 0; i < 400; i++) {
      const needed = 4 * (shedding.part + 0.1 * (1 - shedding.part));
      shedding.look({ ...(needed > 1 ? BUSY : SHORT_TURNS), utilization: Math.min(1, needed) });
      if (i >= 100) parts.push(shedding.part);
    }
    const mean = parts.reduce((sum, part) => sum + part, 0) / parts.length;
    // 0.75 of the loop: 4 * (part + 0.1 (1 - part)) = 0.75
    expect(mean).toBeGreaterThan(0.07);
    expect(mean).toBeLessThan(0.15);
    expect(Math.max(...parts)).toBeLessThan(0.2);
  });
});
