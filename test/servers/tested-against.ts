import { appendFileSync, readFileSync, writeFileSync } from 'node:fs';
import type { TestProject } from 'vitest/node';
import type { Need } from './need.js';

/** One fact for the table that closes a test run. */
export type Fact = Started | MissingNeed | NotShown;

/** Tests ran against this server. */
interface Started {
  readonly need: Need;
  /** What the server calls itself, such as "Redis 7.0.15". */
  readonly server: string;
  /** Where it came from, such as "PATH". */
  readonly foundBy: string;
  /** How long it took to find and start it, in milliseconds. */
  readonly readyMs: number;
}

/** Nothing was found to run them against. */
interface MissingNeed {
  readonly need: Need;
  /** The reason of every place that was looked at. */
  readonly missing: readonly string[];
}

/** What this server can't show, so that nobody believes it was tested. */
interface NotShown {
  readonly need: Need;
  readonly notShown: string;
}

declare module 'vitest' {
  interface ProvidedContext {
    /** The reasons why a need can't be met, for those that can't. `describeOn` looks into it. */
    missing: { readonly [need in Need]?: readonly string[] };
    /** The file that `addFact` adds to. */
    testedAgainstFile: string;
  }
}

/** Makes the file for a run's facts, with the first ones, and provides to the specs what they need of them. */
export function provideFacts(provide: TestProject['provide'], file: string, facts: readonly Fact[]): void {
  writeFileSync(file, '');
  for (const fact of facts) addFact(file, fact);
  const missing = facts.flatMap((fact) => ('missing' in fact ? [[fact.need, fact.missing]] : []));
  provide('missing', Object.fromEntries(missing));
  provide('testedAgainstFile', file);
}

/** Adds a fact. Specs run in other processes than the reporter, so a file is where they meet. */
export function addFact(file: string, fact: Fact): void {
  // A short line appended in one call arrives whole, whoever else appends.
  appendFileSync(file, `${JSON.stringify(fact)}\n`);
}

/** All facts so far. */
export function readFacts(file: string): Fact[] {
  const lines = readFileSync(file, 'utf8').split('\n');
  return lines.filter((line) => line !== '').map((line): Fact => JSON.parse(line));
}

const HEADINGS = ['backend', 'tested against', 'found by', 'ready ms'];

/** The table: for every need its first start, or why it is missing, and below it what could not be shown. */
export function formatTable(facts: readonly Fact[]): string {
  const needs = [...new Set(facts.map(({ need }) => need))];
  const rows = needs.map((need) => row(need, facts));
  const widths = HEADINGS.map((heading, column) =>
    Math.max(heading.length, ...rows.map((cells) => cells[column]?.length ?? 0)),
  );
  const line = (cells: readonly string[]): string =>
    cells
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join('  ')
      .trimEnd();
  const blocks = needs.map((need, index) => [line(rows[index] ?? []), ...remarks(need, facts)].join('\n'));
  return [line(HEADINGS), ...blocks].join('\n');
}

function row(need: Need, facts: readonly Fact[]): string[] {
  for (const fact of facts) {
    if (fact.need !== need || !('server' in fact)) continue;
    return [need, fact.server, fact.foundBy, String(Math.round(fact.readyMs))];
  }
  return [need, 'MISSING: NOT TESTED'];
}

function remarks(need: Need, facts: readonly Fact[]): string[] {
  const all = facts.flatMap((fact) => {
    if (fact.need !== need) return [];
    if ('missing' in fact) return fact.missing.map((reason) => `    - ${reason}`);
    return 'notShown' in fact ? [`    not shown: ${fact.notShown}`] : [];
  });
  return [...new Set(all)];
}
