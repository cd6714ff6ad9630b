import { cpus, totalmem } from 'node:os';
import sharp from 'sharp';
import { table } from './table.ts';

/** A measured number, and the bar that it has to meet. */
export interface Figure {
  readonly name: string;
  readonly value: number;
  readonly unit: string;
  readonly atLeast?: number;
  readonly atMost?: number;
}

export function passes({ value, atLeast, atMost }: Figure): boolean {
  return value >= (atLeast ?? Number.NEGATIVE_INFINITY) && value <= (atMost ?? Number.POSITIVE_INFINITY);
}

export function figureTable(figures: readonly Figure[]): string[] {
  return table(
    ['what', 'measured', 'bar', ''],
    figures.map((figure) => [
      figure.name,
      `${written(figure.value)} ${figure.unit}`.trim(),
      barText(figure),
      figure.atLeast === undefined && figure.atMost === undefined ? '' : passes(figure) ? 'pass' : 'FAIL',
    ]),
  );
}

/** Processor, memory, Node and sharp of this machine. */
export function machineName(): string {
  const processors = cpus();
  return `${processors[0]?.model.trim() ?? 'unknown processor'}, ${processors.length} threads, ${Math.round(totalmem() / 2 ** 30)} GiB; Node ${process.versions.node}, sharp ${sharp.versions.sharp}`;
}

function barText({ atLeast, atMost, unit }: Figure): string {
  if (atLeast !== undefined) return `at least ${written(atLeast)} ${unit}`.trim();
  if (atMost !== undefined) return `at most ${written(atMost)} ${unit}`.trim();
  return '';
}

function written(value: number): string {
  return Number.isInteger(value) ? String(value) : String(Number(value.toPrecision(4)));
}
