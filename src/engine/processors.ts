import { readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join, posix } from 'node:path';

/**
 * Processors for threads that compute: those that this process may run on, or as many as the quotas of its control groups are worth (cgroup v2 or v1),
 * rounded up. A container with two of 64 processors is to start two threads; Node 20 would count 64.
 */
export function processors(root = '/', available: number = availableParallelism()): number {
  return Math.max(1, Math.min(available, Math.ceil(quota(root))));
}

/** The smallest quota from the process' own group up to the root, in processors; infinite where there is none. */
function quota(root: string): number {
  const groups = textOf(join(root, 'proc/self/cgroup'));
  const own = /^0::(\/.*)$/m.exec(groups)?.[1];
  const smallest = smallestOf(own, (group) =>
    textOf(join(root, 'sys/fs/cgroup', group, 'cpu.max'))
      .trim()
      .split(' '),
  );
  // Of v1 each controller has a tree, which may be mounted under several names.
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

/** The smallest quota of a group and those around it, each given as a time and the period that it is for. */
function smallestOf(own: string | undefined, read: (group: string) => readonly string[]): number {
  let smallest = Number.POSITIVE_INFINITY;
  for (let group = own; group !== undefined; group = group === '/' ? undefined : posix.join(group, '..')) {
    const [time, period] = read(group).map(Number);
    // `max` is no number, and -1 the same in v1.
    if (time! > 0 && period! > 0) smallest = Math.min(smallest, time! / period!);
  }
  return smallest;
}

/** Empty where there is no such file: on other systems, say. */
function textOf(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}
