import { appendFile, mkdir, readFile } from 'node:fs/promises';
import { cpus, totalmem } from 'node:os';
import { dirname } from 'node:path';
import { VERSION } from '../../src/version.ts';
import { table } from './rd-report.ts';

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

/** Processor, memory and Node of this machine. */
export function machineName(): string {
  const processors = cpus();
  return `${processors[0]?.model.trim() ?? 'unknown processor'}, ${processors.length} threads, ${Math.round(totalmem() / 2 ** 30)} GiB; Node ${process.versions.node}`;
}

/** Appends figures to `<version>.tsv` in a folder, one row each, so that results of versions and machines can be compared. */
export async function keepResults(folder: string, figures: readonly Figure[]): Promise<string> {
  const path = `${folder}/${VERSION}.tsv`;
  await mkdir(dirname(path), { recursive: true });
  const exists = await readFile(path).then(
    () => true,
    () => false,
  );
  const rows = exists ? [] : ['date\tmachine\tfigure\tvalue\tunit\tbar\tpasses'];
  const date = new Date().toISOString().slice(0, 16);
  for (const figure of figures) {
    const bar = barText(figure);
    rows.push(
      [
        date,
        machineName(),
        figure.name,
        written(figure.value),
        figure.unit,
        bar,
        bar && (passes(figure) ? 'yes' : 'no'),
      ].join('\t'),
    );
  }
  await appendFile(path, `${rows.join('\n')}\n`);
  return path;
}

function barText({ atLeast, atMost, unit }: Figure): string {
  if (atLeast !== undefined) return `at least ${written(atLeast)} ${unit}`.trim();
  if (atMost !== undefined) return `at most ${written(atMost)} ${unit}`.trim();
  return '';
}

function written(value: number): string {
  return Number.isInteger(value) ? String(value) : String(Number(value.toPrecision(4)));
}
