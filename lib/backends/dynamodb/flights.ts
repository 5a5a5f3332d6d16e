import { RunningWork } from '../running-work.js';
import { settledWithin } from '../settled-within.js';
import type { SilentSockets } from './silent-sockets.js';

/** How long a request may take, all in all. A client that was given may have no limit of its own. */
const LIMIT_MS = 10_000;

/** The requests that are under way. None takes longer than ten seconds. */
export class Flights {
  readonly #underWay = new Set<AbortController>();
  readonly #running = new RunningWork();
  readonly #silentSockets: SilentSockets | undefined;

  /** @param silentSockets ends those that get no answer; undefined where the sockets are the app's */
  constructor(silentSockets: SilentSockets | undefined) {
    this.#silentSockets = silentSockets;
  }

  /** Runs a request, which is over when its signal says so. */
  fly<Answer>(request: (signal: AbortSignal) => Promise<Answer>): Promise<Answer> {
    return this.#running.run(() => this.#limited(request));
  }

  /** Resolves when those that are under way now have ended, for which they have so long. */
  async land(withinMs: number): Promise<void> {
    await settledWithin(withinMs, this.#running.idle());
    for (const flight of this.#underWay) flight.abort();
  }

  async #limited<Answer>(request: (signal: AbortSignal) => Promise<Answer>): Promise<Answer> {
    const flight = new AbortController();
    if (this.#underWay.size === 0) this.#silentSockets?.start();
    this.#underWay.add(flight);
    try {
      const answer = request(flight.signal);
      if (!(await settledWithin(LIMIT_MS, answer))) flight.abort();
      return await answer;
    } finally {
      this.#underWay.delete(flight);
      if (this.#underWay.size === 0) this.#silentSockets?.stop();
    }
  }
}
