/** Lets one waiter be woken before its time. A ring that nobody waits for is kept. */
export class Bell {
  #rung: 'yes' | 'no' = 'no';
  #wake: (() => void) | null = null;

  ring(): void {
    this.#rung = 'yes';
    this.#wake?.();
  }

  /** Resolves when it rings, or after `timeoutMs`. */
  async wait(timeoutMs: number): Promise<void> {
    let timer: NodeJS.Timeout | undefined;
    if (this.#rung === 'no') {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
        timer = setTimeout(resolve, timeoutMs);
      });
    }
    clearTimeout(timer);
    this.#wake = null;
    this.#rung = 'no';
  }
}
