import { Pool } from 'pg';

/** The row that a function of DocumentDB answers: BSON, truth values and numbers, under the names of its results. */
export type Row = Readonly<Record<string, unknown>>;

/** More would not be faster: each is a process of Postgres, which takes a while to warm up. */
const MAX_CONNECTIONS = 8;

/** The DocumentDB engine, a Postgres with its extension, asked with the rights of one user. */
export class Engine {
  private readonly pool: Pool;
  private readonly others = new Map<string, Engine>();

  /** @param user absent means the owner of the engine, who may do everything */
  constructor(
    private readonly url: string,
    user?: string,
  ) {
    const options = user === undefined ? {} : { options: `-c role=${user}` };
    this.pool = new Pool({ connectionString: url, max: MAX_CONNECTIONS, ...options });
    // A connection that is lost while nobody uses it. Whoever asks next is told.
    this.pool.on('error', () => undefined);
  }

  /** The same, with the rights of another user. */
  as(user: string): Engine {
    const known = this.others.get(user);
    if (known) return known;
    const other = new Engine(this.url, user);
    this.others.set(user, other);
    return other;
  }

  /** The first row of what a statement answers. */
  async row(sql: string, values: readonly (string | Buffer | null)[] = []): Promise<Row> {
    const { rows } = await this.pool.query<Row>(sql, [...values]);
    return rows[0] ?? {};
  }
}

/** The bytes of a BSON value in a row, which Postgres sends as text. */
export function bsonIn(value: unknown): Buffer {
  if (typeof value === 'string' && value.startsWith('BSONHEX')) return Buffer.from(value.slice(7), 'hex');
  throw new Error('The engine answered something else than BSON.');
}
