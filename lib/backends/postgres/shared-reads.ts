import type { Statement } from './lanes.js';
import type { PgResult } from './pg.js';
import type { Statements } from './postgres.table.js';

/** Few enough that one large entry does not hold up many small ones. */
const MOST_TOGETHER = 64;

type Row = PgResult['rows'][0];

/** Reads that go in one statement, to which more may be added until there is a connection for it. */
interface Batch {
  readonly keys: Set<string>;
  readonly rows: Promise<ReadonlyMap<string, Row>>;
}

/**
 * Reads of single entries. There are few connections, and a thousand callers may want an entry at once: so those that
 * wait for a connection at the same time share one statement, and those that want the same entry one row of it. What
 * is shared was not sent yet when the last of them asked, so nobody gets an answer that is older than the question.
 */
export class SharedReads {
  readonly #namespace: string;
  readonly #statements: Statements;
  readonly #run: (sending: () => Statement) => Promise<PgResult>;
  #waiting: Batch | undefined;

  /** @param run sends what the function makes, which is called when there is a connection */
  constructor(
    namespace: string,
    statements: Statements,
    run: (sending: () => Statement) => Promise<PgResult>,
  ) {
    this.#namespace = namespace;
    this.#statements = statements;
    this.#run = run;
  }

  /** @throws BackendUnavailableError */
  async get(key: string): Promise<Row | undefined> {
    const batch = (this.#waiting ??= this.#begin());
    batch.keys.add(key);
    if (batch.keys.size === MOST_TOGETHER) this.#waiting = undefined;
    return (await batch.rows).get(key);
  }

  /** What is asked from now on does not wait with what was asked before. */
  startAnew(): void {
    this.#waiting = undefined;
  }

  #begin(): Batch {
    const keys = new Set<string>();
    const batch: Batch = { keys, rows: this.#read(keys, () => this.#close(batch)) };
    return batch;
  }

  async #read(keys: ReadonlySet<string>, close: () => void): Promise<ReadonlyMap<string, Row>> {
    try {
      const { rows } = await this.#run(() => {
        close();
        return this.#statementFor([...keys]);
      });
      return new Map(rows.map((row) => [row['key'] as string, row]));
    } finally {
      // Also when it was given up before it was sent.
      close();
    }
  }

  /** Nothing can be added to it any more. */
  #close(batch: Batch): void {
    if (this.#waiting === batch) this.#waiting = undefined;
  }

  #statementFor(keys: readonly string[]): Statement {
    const { get, getMany } = this.#statements;
    const [first] = keys;
    return keys.length === 1
      ? { ...get, values: [this.#namespace, first] }
      : { ...getMany, values: [this.#namespace, keys] };
  }
}
