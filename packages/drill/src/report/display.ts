import { monotonicMs } from '@understudy/base';
import type { DrillEvent } from '../run/drill.ts';
import type { RunResult } from '../run/one.ts';
import type { Terminal } from './terminal.ts';

/** Shows a drill on standard error: one moving line on a terminal, one line for each run otherwise. */
export class DrillDisplay {
  readonly #terminal: Terminal;
  readonly #startedMs = monotonicMs();

  constructor(terminal: Terminal) {
    this.#terminal = terminal;
  }

  show(event: DrillEvent): void {
    switch (event.kind) {
      case 'notice':
        this.#line(event.text);
        break;
      case 'progress':
        this.#moving(event.text);
        break;
      case 'run':
        this.#line(runLine(event.fault, event.run, event.of, event.result));
        for (const problem of event.result.problems) this.#line(`    ${problem}`);
        break;
      case 'fault':
        break;
    }
  }

  /** Removes the moving line. */
  close(): void {
    this.#terminal.clear();
  }

  #line(text: string): void {
    this.close();
    this.#terminal.err(`${text}\n`);
  }

  #moving(text: string): void {
    const seconds = Math.round((monotonicMs() - this.#startedMs) / 1000);
    this.#terminal.moving(`${seconds} s  ${text.replaceAll('\n', ' ')}`);
  }
}

function runLine(fault: string, run: number, of: number, result: RunResult): string {
  const { outage, phases, acked, unknown, contents, dualAck, unprotected, dualWritableMs, convergence } = result;
  const parts = Object.entries(phases).flatMap(([name, value]) => (value === null ? [] : [`${name} ${value}`]));
  const split = parts.length === 0 ? '' : ` (${parts.join(', ')})`;
  const whole =
    convergence.kind === 'converged' ? `whole after ${(convergence.tookMs / 1000).toFixed(1)} s` : 'NOT WHOLE';
  const rows = (count: number): string => (contents.compared === 'none' ? '?' : String(count));
  const counts = `acked ${acked}, lost ${rows(contents.lost)}, resurrected ${rows(contents.resurrected)}, unknown ${unknown}, dual ack ${dualAck}, unprotected ${unprotected}`;
  const wait =
    outage.span === null
      ? `none (longest wait ${Math.round(outage.longestMs)} ms)`
      : `${Math.round(outage.outageMs)} ms`;
  return `${fault} ${run}/${of}: outage ${wait}${split}; ${counts}, dual writable ${dualWritableMs} ms; ${whole}`;
}
