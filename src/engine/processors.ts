import { readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join, posix } from 'node:path';

/**
 * Processors for threads that compute: those that this process may run on, or as many as the quotas of its control groups are worth (cgroup v2),
 * rounded up. A container with two of 64 processors is to start two threads; Node 20 would count 64.
 */
export function processors(root = '/', available: number = availableParallelism()): number {
  return Math.max(1, Math.min(available, Math.ceil(quota(root))));
}

/** The smallest quota from the process' own group up to the root, in processors; infinite where there is none. */
function quota(root: string): number {
  let smallest = Number.POSITIVE_INFINITY;
  let group = /^0::(\/.*)$/m.exec(textOf(join(root, 'proc/self/cgroup')))?.[1];
  while (group !== undefined) {
    const [time, period] = textOf(join(root, 'sys/fs/cgroup', group, 'cpu.max'))
      .trim()
      .split(' ')
      .map(Number);
    // `max` is no number.
    if (time! > 0 && period! > 0) smallest = Math.min(smallest, time! / period!);
    group = group === '/' ? undefined : posix.join(group, '..');
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
