/** Is told what a bus brings, and when it may have missed something. */
export interface BusListener {
  /** A message of any process, this one included. */
  readonly onMessage: (text: string) => void;
  /** From now on every message arrives, until `onDown`. What was sent before may be lost. */
  readonly onUp: () => void;
  /**
   * From now on messages may be lost, and some may have been already. Called within two seconds also when the server
   * just falls silent. Not called by `close`.
   */
  readonly onDown: () => void;
}

/** Passes short messages between the processes that use one namespace of one server. */
export interface MessageBus {
  /**
   * Starts to listen, on a connection of its own, and connects again by itself after a loss, until `close`. Settles
   * when the first attempt to connect has ended: it may reject with the reason, and goes on trying then. Called once,
   * before `send`: it reports to one listener, and a bus that was closed is not used again.
   */
  listen(listener: BusListener): Promise<void>;

  /**
   * Sends a text of at most 4,000 bytes in UTF-8 to all who listen. Resolves when the server has taken it.
   *
   * @throws BackendUnavailableError when it can't be sent now; it may have been sent all the same
   */
  send(text: string): Promise<void>;

  /** Ends listening; the listener is told nothing any more. Never rejects because the server is away. */
  close(): Promise<void>;
}
