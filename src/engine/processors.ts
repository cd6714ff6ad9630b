import { readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join, posix } from 'node:path';

/**
 * How many threads can compute at a time: the processors that this process may run on, or, if that is less,
 * the quota of its control groups (cgroup v2 or v1) in processors, rounded up. Node 20 counts 64 in a
 * container that has a quota of two of 64 processors.
 */
export function processors(root = '/', available: number = availableParallelism()): number {
  return Math.max(1, Math.min(available, Math.ceil(quota(root))));
}

/**
 * The smallest quota from the process' own group up to the root, in processors; infinite where there is none.
 */
function quota(root: string): number {
  const groups = textOf(join(root, 'proc/self/cgroup'));
  const own = /^0::(\/.*)$/m.exec(groups)?.[1];
  const smallest = smallestOf(own, (group) =>
    textOf(join(root, 'sys/fs/cgroup', group, 'cpu.max'))
      .trim()
      .split(' '),
  );
  // In v1 each controller has a tree of its own, which may be mounted under several names.
  const [, controllers, older] = /^\d+:((?:[^:\n]*,)?cpu(?:,[^:\n]*)?):(\/.*)$/m.exec(groups) ?? [];
  return Math.min(
    smallest,
    ...['cpu', controllers ?? 'cpu'].map((name) =>
      smallestOf(older, (group) =>
        ['cpu.cfs_quota_us', 'cpu.cfs_period_us'].map((file) =>
          textOf(join(root, 'sys/fs/cgroup', name, group, file)),
        ),
      ),
    ),
  );
}

/**
 * The smallest quota of a group and the groups around it. `read` gives a group's time and the period that it
 * is for.
 */
function smallestOf(own: string | undefined, read: (group: string) => readonly string[]): number {
  let smallest = Number.POSITIVE_INFINITY;
  for (let group = own; group !== undefined; group = group === '/' ? undefined : posix.join(group, '..')) {
    const [time, period] = read(group).map(Number);
    // No quota is `max` in v2, -1 in v1.
    if (time! > 0 && period! > 0) smallest = Math.min(smallest, time! / period!);
  }
  return smallest;
}

/** The text of a file; empty if there is none, as on other systems. */
function textOf(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}
