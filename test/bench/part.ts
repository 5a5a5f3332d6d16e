/** One part of the benchmark, such as `memory`: it measures, and says what the report shall say. */
export interface Part {
  readonly name: string;
  readonly measure: () => Promise<Findings>;
}

/** What a part found. Plain data: it is kept as JSON until the report is written. */
export interface Findings {
  readonly sections: readonly Section[];
  readonly goals: readonly Goal[];
  /** What was measured in which version. */
  readonly versions: Readonly<Record<string, string>>;
}

/** A piece of the report. */
export interface Section {
  readonly title: string;
  /** How to read what follows, in Markdown. */
  readonly text: string;
  readonly table?: Table;
  readonly charts?: readonly Chart[];
}

/** Columns after the first are numbers, aligned to the right. */
export interface Table {
  readonly headings: readonly string[];
  readonly rows: readonly (readonly string[])[];
}

/** A chart, and the name of its file without ending. */
export interface Chart {
  readonly name: string;
  readonly title: string;
  readonly kind: 'bars' | 'lines';
  /** What the axis of values shows, with its unit. */
  readonly unit: string;
  readonly isLogarithmic?: boolean;
  readonly categories: readonly string[];
  readonly series: readonly { readonly name: string; readonly values: readonly (number | undefined)[] }[];
}

/** A line of the table of goals. */
export interface Goal {
  readonly what: string;
  readonly goal: string;
  readonly measured: string;
  readonly isMet: boolean;
}
