/** One place where a server, or the program that runs it, may come from. */
export interface Step<T> {
  /** The name of the place, for messages. */
  readonly place: string;
  /** Answers what was looked for, or rejects with the reason why it is not there. */
  readonly look: () => Promise<T>;
}

/** What was found, or the reason of every step why it was not. */
export type Found<T> = { readonly found: T } | { readonly missing: readonly string[] };

/** Tries the steps in order, and answers what the first one that has it found. Never rejects. */
export async function findFirst<T>(steps: readonly Step<T>[]): Promise<Found<T>> {
  const missing: string[] = [];
  for (const step of steps) {
    try {
      return { found: await step.look() };
    } catch (error) {
      missing.push(`${step.place}: ${firstLine(error)}`);
    }
  }
  return { missing };
}

function firstLine(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error);
  return message.trim().split('\n')[0] ?? '';
}
