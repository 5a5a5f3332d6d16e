import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { cpus, totalmem } from 'node:os';
import { join } from 'node:path';
import { format, resolveConfig } from 'prettier';
import { PROJECT_FOLDER } from '../folders.js';
import type { Findings, Section, Table } from '../part.js';
import { drawChart } from './chart.js';
import { goalRows } from './print.js';

/** What a part found, and when. */
export interface Result extends Findings {
  readonly part: string;
  readonly startedAt: string;
  /** How busy the machine was just before, as processes that wanted to run. */
  readonly loadBefore: number;
  readonly tookS: number;
}

const REPORT = 'docs/benchmarks.md';
const IMAGES = 'docs/img';

/** Writes the report with its charts, and answers where it is. */
export async function writeReport(results: readonly Result[]): Promise<string> {
  const images = join(PROJECT_FOLDER, IMAGES);
  rmSync(images, { recursive: true, force: true });
  mkdirSync(images, { recursive: true });
  const sections = results.flatMap((result) => result.sections);
  for (const chart of sections.flatMap(({ charts = [] }) => charts)) {
    writeFileSync(join(images, `${chart.name}.svg`), await drawChart(chart));
  }
  const pieces = [introduction(results), goals(results), ...sections.map(sectionText)];
  const file = join(PROJECT_FOLDER, REPORT);
  // Every text of the project is formatted, and checked for it.
  const options = await resolveConfig(file);
  writeFileSync(file, await format(pieces.join('\n\n'), { ...options, filepath: file }));
  return REPORT;
}

function introduction(results: readonly Result[]): string {
  const [cpu] = cpus();
  const gigabytes = (totalmem() / 1024 ** 3).toFixed(0);
  const versions = new Map(results.flatMap((result) => Object.entries(result.versions)));
  return `# Benchmarks

Written by \`npm run bench\`. Ratios say more than rates: contestants take turns in one run on one machine, and a ratio is
the median of what each round gave. *Spread* is half the distance between the quartiles, as a share of the median.
A rival that is not listed with an option runs with its defaults. Your machine will give other rates.

- Machine: ${cpus().length} x ${cpu?.model.trim() ?? 'unknown processor'}, ${gigabytes} GB of memory, ${process.platform} ${process.arch}, Node ${process.version}
- Versions: ${[...versions].map(([name, version]) => `${name} ${version}`).join(', ')}

${markdownTable({
  headings: ['part', 'measured at', 'seconds', 'load average before'],
  rows: results.map(({ part, startedAt, tookS, loadBefore }) => [
    part,
    startedAt.slice(0, 16).replace('T', ' '),
    tookS.toFixed(0),
    loadBefore.toFixed(1),
  ]),
})}`;
}

function goals(results: readonly Result[]): string {
  const rows = goalRows(results.flatMap((result) => result.goals));
  return `## Goals\n\n${markdownTable({ headings: ['what', 'goal', 'measured', ''], rows })}`;
}

function sectionText({ title, text, table, charts = [] }: Section): string {
  const images = charts.map((chart) => `![${chart.title}](img/${chart.name}.svg)`);
  const pieces = [`## ${title}`, text, ...images];
  if (table !== undefined) pieces.push(markdownTable(table));
  return pieces.join('\n\n');
}

function markdownTable({ headings, rows }: Table): string {
  const line = (cells: readonly string[]): string =>
    `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`;
  const rule = headings.map((_, column) => (column === 0 ? '---' : '--:'));
  return [line(headings), line(rule), ...rows.map(line)].join('\n');
}
