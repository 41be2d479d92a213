import { visible } from '@understudy/core/visible';
import type { Terminal } from '../report/terminal.ts';

/** The terminal of a benchmark, which is run without the command around it. */
export function processTerminal(): Terminal {
  const { stdout, stderr } = process;
  const overwrite = '\r\u001b[K';
  return {
    out: (text) => void stdout.write(visible(text)),
    err: (text) => void stderr.write(visible(text)),
    moving: (line) => {
      if (stderr.isTTY) stderr.write(overwrite + visible(line).slice(0, (stderr.columns || 80) - 1));
    },
    clear: () => {
      if (stderr.isTTY) stderr.write(overwrite);
    },
    red: (text) => text,
  };
}
