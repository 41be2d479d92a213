import { visible, visibleLine } from '@understudy/core/visible';
import type { Terminal } from '../report/terminal.ts';

/** The terminal of a benchmark that is a program of its own. What others wrote gets there in visible form. */
export function ownTerminal(): Terminal {
  const { stdout, stderr } = process;
  const isDrawn = stderr.isTTY === true;
  return {
    out: (text) => void stdout.write(visible(text)),
    err: (text) => void stderr.write(visible(text)),
    moving: (line) => {
      if (isDrawn) stderr.write(`\r\u001b[K${visibleLine(line).slice(0, Math.max(20, stderr.columns - 1))}`);
    },
    clear: () => {
      if (isDrawn) stderr.write('\r\u001b[K');
    },
    red: (text) => text,
  };
}
