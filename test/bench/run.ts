import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { loadavg } from 'node:os';
import { join } from 'node:path';
import { BENCH_FOLDER } from './folders.js';
import type { Part } from './part.js';
import { BACKENDS } from './backends/backends.part.js';
import { COLD } from './cold/cold.part.js';
import { HTTP } from './http/http.part.js';
import { MEMORY } from './memory/memory.part.js';
import { REDIS } from './redis/redis.part.js';
import { SCALE } from './scale/scale.part.js';
import { printGoals, printSection } from './report/print.js';
import { type Result, writeReport } from './report/report.js';

const PARTS: readonly Part[] = [MEMORY, HTTP, REDIS, BACKENDS, SCALE, COLD];

const RESULTS_FOLDER = join(BENCH_FOLDER, 'results');

/**
 * Runs the named parts, or all of them, and ends with the table of goals. A run of all parts, and the word `report`,
 * write docs/benchmarks.md; `report` takes what each part measured last.
 */
export async function run(names: readonly string[]): Promise<void> {
  const isReport = names.includes('report');
  const parts = names.length === 0 || isReport ? PARTS : PARTS.filter(({ name }) => names.includes(name));
  const unknown = names.find((name) => name !== 'report' && !PARTS.some((part) => part.name === name));
  if (unknown !== undefined) {
    throw new Error(
      `There is no part "${unknown}". There are: ${PARTS.map(({ name }) => name).join(', ')}, report.`,
    );
  }
  const results: Result[] = [];
  for (const part of parts) results.push(isReport ? lastOf(part) : await runPart(part));
  printGoals(results.flatMap(({ goals }) => goals));
  if (parts.length === PARTS.length) console.log(`\nWrote ${await writeReport(results)}.`);
}

async function runPart(part: Part): Promise<Result> {
  console.log(`\n=== ${part.name} ===`);
  const startedAt = new Date();
  const loadBefore = loadavg()[0] ?? 0;
  const findings = await part.measure();
  const tookS = (Date.now() - startedAt.getTime()) / 1_000;
  const result: Result = {
    part: part.name,
    startedAt: startedAt.toISOString(),
    loadBefore,
    tookS,
    ...findings,
  };
  mkdirSync(RESULTS_FOLDER, { recursive: true });
  writeFileSync(fileOf(part), JSON.stringify(result, undefined, 2));
  for (const section of result.sections) printSection(section);
  console.log(`\n${part.name} took ${tookS.toFixed(0)} s; load average before it ${loadBefore.toFixed(1)}`);
  return result;
}

function lastOf(part: Part): Result {
  return JSON.parse(readFileSync(fileOf(part), 'utf8')) as Result;
}

function fileOf({ name }: Part): string {
  return join(RESULTS_FOLDER, `${name}.json`);
}
