import type { Goal, Section, Table } from '../part.js';

/** Prints a section's table, without its explanation. */
export function printSection({ title, table }: Section): void {
  console.log(`\n${title}`);
  if (table !== undefined) printTable(table);
}

/** The table that a run ends with. */
export function printGoals(goals: readonly Goal[]): void {
  console.log('\nGoals');
  printTable({ headings: ['what', 'goal', 'measured', ''], rows: goalRows(goals) });
}

/** The same rows as in the report. */
export function goalRows(goals: readonly Goal[]): string[][] {
  return goals.map(({ what, goal, measured, isMet }) => [what, goal, measured, isMet ? 'met' : 'NOT MET']);
}

function printTable({ headings, rows }: Table): void {
  const widths = headings.map((heading, column) =>
    Math.max(heading.length, ...rows.map((row) => row[column]?.length ?? 0)),
  );
  for (const row of [headings, ...rows]) {
    console.log(
      row
        .map((cell, column) => cell.padEnd(widths[column] ?? 0))
        .join('  ')
        .trimEnd(),
    );
  }
}
