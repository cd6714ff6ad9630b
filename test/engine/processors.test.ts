import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { processors } from '../../src/engine/processors.ts';

const roots: string[] = [];
afterEach(() => {
  for (const root of roots.splice(0)) rmSync(root, { recursive: true });
});

/** A system with these files. */
function systemOf(files: Record<string, string>): string {
  const root = mkdtempSync(join(tmpdir(), 'liif-system-'));
  roots.push(root);
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), text);
  }
  return root;
}

describe('processors to compute with', () => {
  it('are all of the machine where no group has a quota', () => {
    expect(processors(systemOf({}), 64)).toBe(64);
    const free = { 'proc/self/cgroup': '0::/\n', 'sys/fs/cgroup/cpu.max': 'max 100000\n' };
    expect(processors(systemOf(free), 64)).toBe(64);
  });

  it.each([
    ['200000 100000\n', 2],
    ['150000 100000\n', 2],
    ['5000 100000\n', 1],
    ['9600000 100000\n', 64],
  ])('with a quota of %j are %i of 64', (text, expected) => {
    const container = { 'proc/self/cgroup': '0::/\n', 'sys/fs/cgroup/cpu.max': text };
    expect(processors(systemOf(container), 64)).toBe(expected);
  });

  it('are as few as the smallest quota of the group and those around it allows', () => {
    const service = {
      'proc/self/cgroup': '4:memory:/\n0::/system.slice/liif.service\n',
      'sys/fs/cgroup/system.slice/liif.service/cpu.max': '800000 100000\n',
      'sys/fs/cgroup/system.slice/cpu.max': '300000 100000\n',
    };
    expect(processors(systemOf(service), 64)).toBe(3);
  });

  it('are as few as a quota of cgroup v1 allows, where a container sees its own group alone, too', () => {
    for (const group of ['/docker/ab/', '/']) {
      const container = {
        'proc/self/cgroup': '9:cpuset:/docker/ab\n4:cpu,cpuacct:/docker/ab\n0::/docker/ab\n',
        [`sys/fs/cgroup/cpu,cpuacct${group}cpu.cfs_quota_us`]: '150000\n',
        [`sys/fs/cgroup/cpu,cpuacct${group}cpu.cfs_period_us`]: '100000\n',
      };
      expect(processors(systemOf(container), 64)).toBe(2);
    }
    const free = {
      'proc/self/cgroup': '4:cpu,cpuacct:/\n',
      'sys/fs/cgroup/cpu/cpu.cfs_quota_us': '-1\n',
      'sys/fs/cgroup/cpu/cpu.cfs_period_us': '100000\n',
    };
    expect(processors(systemOf(free), 64)).toBe(64);
  });

  it('are at least one of what the machine here has', () => {
    expect(processors()).toBeGreaterThanOrEqual(1);
  });
});
