import { visibleLine } from '@understudy/core/visible';
import type { ServerName } from './recipes.ts';

/** One report about a running fetch. */
export interface FetchProgress {
  readonly name: ServerName;
  readonly step: 'waiting' | 'index' | 'download' | 'unpack' | 'check' | 'notice' | 'done';
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
      const line = progressLine(progress, 'plain');
      if (line !== shown) terminal.write(`${line}\n`);
      shown = line;
      return;
    }
    const width = (terminal.columns || 80) - 1;
    const end = stays(progress) ? '\n' : '';
    const line = progressLine(progress, 'bar');
    terminal.write(`\r\u001b[K${progress.step === 'notice' ? line : line.slice(0, width)}${end}`);
  };
}

/** Whether it is not drawn over by the next. */
export const stays = ({ step }: FetchProgress): boolean => step === 'done' || step === 'notice';

/** One report as a line, safe for a terminal. */
export function progressLine({ name, step, fraction, text }: FetchProgress, form: 'plain' | 'bar'): string {
  if (form === 'plain') return visibleLine(`${name}: ${text}`);
  if (step === 'done' || step === 'notice') return visibleLine(`${name.padEnd(12)} ${text}`);
  const full = Math.round(barWidth * (fraction ?? 0));
  const bar = '█'.repeat(full) + '░'.repeat(barWidth - full);
  const percent = fraction === null ? '    ' : `${Math.round(fraction * 100)} %`.padStart(5);
  return visibleLine(`${name.padEnd(12)} ${bar} ${percent} ${text}`);
}
