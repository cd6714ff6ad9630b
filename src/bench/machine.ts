import { execFile } from 'node:child_process';
import { cpus, totalmem } from 'node:os';
import { promisify } from 'node:util';
import { processors } from '../engine/processors.ts';
import { VERSION } from '../version.ts';

/** The versions and hardware that decide the figures of a benchmark. */
export interface Machine {
  readonly liif: string;
  readonly node: string;
  readonly system: string;
  readonly processor: string;
  readonly processors: number;
  readonly memoryGigabytes: number;
  /** NVIDIA graphics cards, from `nvidia-smi`. */
  readonly cards: readonly string[];
}

export async function describeMachine(): Promise<Machine> {
  return {
    liif: VERSION,
    node: process.versions.node,
    system: `${process.platform} ${process.arch}`,
    processor: cpus()[0]?.model.trim() ?? 'unknown',
    processors: processors(),
    memoryGigabytes: Math.round(totalmem() / 1e9),
    cards: await cards(),
  };
}

async function cards(): Promise<string[]> {
  try {
    const query = ['--query-gpu=name,memory.total,driver_version', '--format=csv,noheader'];
    const { stdout } = await promisify(execFile)('nvidia-smi', query, { timeout: 5000 });
    return stdout.trim().split('\n').filter(Boolean);
  } catch {
    return []; // no such card, or no such tool
  }
}
