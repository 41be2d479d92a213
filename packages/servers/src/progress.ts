import type { ServerName } from './recipes.ts';

/** One report about a running fetch. */
export interface FetchProgress {
  readonly name: ServerName;
  readonly step: 'waiting' | 'index' | 'download' | 'unpack' | 'check' | 'done';
  /** Between 0 and 1, or null while it is not known. */
  readonly fraction: number | null;
  /** What is happening, in words. */
  readonly text: string;
}

export type OnProgress = (progress: FetchProgress) => void;

interface Terminal {
  readonly isTTY?: boolean;
  readonly columns?: number;
  write(text: string): unknown;
}

const barWidth = 24;

/**
 * Shows fetch progress: one line that is redrawn on a terminal, otherwise one plain line for each step.
 *
 * @returns the callback for `getServer`. The line is ended when the step `done` is reported.
 */
export function showProgress(terminal: Terminal): OnProgress {
  let shown = '';
  return (progress) => {
    if (terminal.isTTY !== true) {
      const line = `${progress.name}: ${progress.text}`;
      if (line !== shown) terminal.write(`${line}\n`);
      shown = line;
      return;
    }
    const width = (terminal.columns || 80) - 1;
    const end = progress.step === 'done' ? '\n' : '';
    terminal.write(`\r\u001b[K${barLine(progress).slice(0, width)}${end}`);
  };
}

function barLine({ name, step, fraction, text }: FetchProgress): string {
  if (step === 'done') return `${name.padEnd(12)} ${text}`;
  const full = Math.round(barWidth * (fraction ?? 0));
  const bar = '█'.repeat(full) + '░'.repeat(barWidth - full);
  const percent = fraction === null ? '    ' : `${Math.round(fraction * 100)} %`.padStart(5);
  return `${name.padEnd(12)} ${bar} ${percent} ${text}`;
}
