import type { Outcome } from './events.ts';

interface Terminal {
  readonly isTTY?: boolean;
  readonly columns?: number;
  write(text: string): unknown;
}

const heartbeatMs = 60_000;

/** Shows a line for each file that has ended, failures in full, and on a terminal what is running now. */
export class Display {
  readonly #terminal: Terminal;
  readonly #running = new Map<string, number>();
  readonly #timer: NodeJS.Timeout;
  #lastLineMs = performance.now();
  #done = 0;
  #total = 0;

  constructor(terminal: Terminal) {
    this.#terminal = terminal;
    this.#timer = setInterval(() => this.#tick(), terminal.isTTY ? 500 : 5000);
    this.#timer.unref();
  }

  /** Adds to the number of files that the status line counts against. */
  expect(count: number): void {
    this.#total += count;
  }

  start(name: string): void {
    this.#running.set(name, performance.now());
    this.#tick();
  }

  end(outcome: Outcome): void {
    this.#running.delete(outcome.name);
    this.#done += 1;
    const isGood = outcome.failures.length === 0;
    const counts = [`${outcome.passed} passed`];
    if (outcome.skipped > 0) counts.push(`${outcome.skipped} skipped`);
    if (!isGood) counts.push('FAILED');
    this.line(
      `${isGood ? 'ok  ' : 'FAIL'} ${outcome.name.padEnd(48)} ${seconds(outcome.durationMs).padStart(8)}  ${counts.join(', ')}`,
    );
    for (const { title, text } of outcome.failures) this.line(`     ✗ ${title}\n${indent(text)}`);
    if (!isGood && outcome.output.trim() !== '') this.line(`     output:\n${indent(outcome.output)}`);
    this.#tick();
  }

  line(text: string): void {
    this.#lastLineMs = performance.now();
    this.#terminal.write(`${this.#terminal.isTTY ? '\r\u001b[K' : ''}${text.trimEnd()}\n`);
  }

  close(): void {
    clearInterval(this.#timer);
    if (this.#terminal.isTTY) this.#terminal.write('\r\u001b[K');
  }

  #tick(): void {
    const now = performance.now();
    const names = [...this.#running].map(([name, startedMs]) => `${name} (${seconds(now - startedMs)})`);
    const text = `${this.#done} of ${this.#total} done; running ${names.join(', ')}`;
    if (this.#terminal.isTTY) {
      if (names.length > 0) this.#terminal.write(`\r\u001b[K${text.slice(0, (this.#terminal.columns || 80) - 1)}`);
    } else if (names.length > 0 && now - this.#lastLineMs > heartbeatMs) this.line(`     ${text}`);
  }
}

function seconds(durationMs: number): string {
  return durationMs < 100_000 ? `${(durationMs / 1000).toFixed(1)} s` : `${Math.round(durationMs / 1000)} s`;
}

function indent(text: string): string {
  return text
    .trimEnd()
    .split('\n')
    .map((line) => (line === '' ? '' : `       ${line}`))
    .join('\n');
}
