import type { WriteStream } from 'node:tty';
import type { RunSummary } from '../run/summary.ts';

const WIDTH = 30;
const REDRAW_MS = 100;

/** A bar on a terminal; nothing elsewhere. */
export class Progress {
  readonly #stream: WriteStream;
  readonly #total: number;
  #done = 0;
  #violations = 0;
  #simulatedMs = 0;
  #drawnAt = 0;

  constructor(stream: WriteStream, total: number) {
    this.#stream = stream;
    this.#total = total;
  }

  note(run: RunSummary): void {
    this.#done += 1;
    this.#simulatedMs += run.simulatedMs;
    if (run.violation !== null) this.#violations += 1;
    const now = performance.now();
    if (!this.#stream.isTTY || now - this.#drawnAt < REDRAW_MS) return;
    this.#drawnAt = now;
    this.#draw();
  }

  end(): void {
    if (this.#stream.isTTY) this.#stream.write('\r\x1b[K');
  }

  #draw(): void {
    const filled = Math.round((this.#done / this.#total) * WIDTH);
    const bar = '█'.repeat(filled) + '░'.repeat(WIDTH - filled);
    const hours = (this.#simulatedMs / 3_600_000).toFixed(1);
    this.#stream.write(
      `\r\x1b[K${bar} ${this.#done}/${this.#total} seeds, ${hours} h simulated, ${this.#violations} violations`,
    );
  }
}
