import { randomBytes } from 'node:crypto';
import type { MessageBus } from '../../backends/message-bus.js';
import { type Change, decodeChange } from './bus-message.js';
import { Outbox } from './outbox.js';

/** Tells the other processes of changes, and hears of theirs, where the far tier passes messages. */
export class ChangeFeed {
  /** By it an instance knows its own messages. */
  private readonly id = randomBytes(9).toString('base64url');
  private readonly outbox = new Outbox(this.id, async (text) => this.bus?.send(text));
  private bus: MessageBus | undefined;
  private listening: Promise<void> | undefined;
  private isClosed = false;

  /**
   * @param makeBus a new one for each time it is opened; `undefined` where there is none
   * @param onChange is told what others changed; `all` also where something may have been missed
   */
  constructor(
    private readonly makeBus: () => MessageBus | undefined,
    private readonly onChange: (change: Change) => void,
  ) {
    this.bus = makeBus();
  }

  /** Whether there is a bus. */
  get exists(): boolean {
    return this.bus !== undefined;
  }

  /** Begins to listen. Settles when the first attempt to connect has ended; the bus goes on trying. */
  open(): Promise<void> {
    this.isClosed = false;
    this.listening ??= this.listen(this.bus);
    return this.listening;
  }

  /** Begins to listen unless it was closed: for who is used without having been opened. */
  openByItself(): void {
    if (this.isClosed || this.listening !== undefined) return;
    this.open().catch(() => {
      // Where the bus can't be reached, sending says so.
    });
  }

  /** Resolves when the others are being told; rejects when they can't be now. */
  send(change: Change): Promise<void> {
    return this.bus === undefined ? Promise.resolve() : this.outbox.send(change);
  }

  async close(): Promise<void> {
    const { bus } = this;
    this.isClosed = true;
    this.listening = undefined;
    this.bus = this.makeBus();
    await bus?.close();
  }

  private async listen(bus: MessageBus | undefined): Promise<void> {
    const tell = (change: Change | undefined): void => {
      if (change !== undefined) this.onChange(change);
    };
    try {
      await bus?.listen({
        onMessage: (text) => tell(decodeChange(this.id, text)),
        onUp: () => tell('all'),
        onDown: () => tell('all'),
      });
    } finally {
      // Who opens it again later need not hear of the first attempt.
      if (this.bus === bus) this.listening = Promise.resolve();
    }
  }
}
