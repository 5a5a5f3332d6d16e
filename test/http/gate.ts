/** Something a test waits for, or lets others wait for. */
export class Gate {
  /** Resolves when the gate is opened. */
  readonly opened: Promise<void>;
  /** May be called many times, and passed as a callback. */
  open!: () => void;

  constructor() {
    this.opened = new Promise((resolve) => {
      this.open = () => resolve();
    });
  }
}
