/**
 * Work that nothing waits for: writing out what a replaced data directory held alone. A member comes back first; a long log takes minutes
 * to read on a machine that has much else to do.
 */
export class LaterWork {
  #abort = new AbortController();
  #work: Promise<void> = Promise.resolve();

  /** @param work never rejects; it ends soon when its signal fires. One after the other. */
  begin(work: (signal: AbortSignal) => Promise<void>): void {
    const { signal } = this.#abort;
    this.#work = this.#work.then(() => work(signal));
  }

  /** Breaks it off, and waits until it has ended. */
  async end(): Promise<void> {
    this.#abort.abort(new Error('it was broken off, as the agent ends or another copy takes the place of this one'));
    this.#abort = new AbortController();
    await this.#work;
  }
}
