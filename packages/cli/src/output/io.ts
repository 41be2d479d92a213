import type { Readable } from 'node:stream';
import { toTerminal } from './escapes.ts';

/** Where text goes; what a terminal says about itself decides about colour, width and redrawing. */
export interface Sink {
  readonly isTTY: boolean;
  /** Columns of the terminal now; for a pipe, a width at which nothing is cut. */
  columns(): number;
  rows(): number;
  /** The one way to a terminal: only escape sequences of our own (`escapes.ts`) get through, those of others become visible. */
  write(text: string): void;
  /** Calls back when the terminal changes its size; returns how to stop that. */
  onResize(listener: () => void): () => void;
}

/** Everything through which a command meets the world outside. */
export interface Io {
  readonly out: Sink;
  readonly err: Sink;
  readonly input: Readable & { readonly isTTY?: boolean };
  /** Asks the person at the terminal for one line. @throws when `signal` is aborted */
  readonly ask: (prompt: string, signal: AbortSignal) => Promise<string>;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** From here on the command goes on when its terminal is closed or its reader goes away: it has something to put in order. */
  readonly outliveReader: () => void;
}

const pipeColumns = 10_000;
const pipeRows = 1000;
const leastColumns = 20;

function sinkOf(stream: NodeJS.WriteStream): Sink {
  const isTTY = stream.isTTY === true;
  return {
    isTTY,
    columns: () => (isTTY ? Math.max(leastColumns, stream.columns || 80) : pipeColumns),
    rows: () => (isTTY ? Math.max(5, stream.rows || 24) : pipeRows),
    write: (text) => {
      stream.write(toTerminal(text));
    },
    onResize: (listener) => {
      stream.on('resize', listener);
      return () => stream.off('resize', listener);
    },
  };
}

/** The terminal or pipes of this process. A reader that goes away (`… | head`) ends the process quietly, unless it said otherwise. */
export function processIo(): Io {
  let whenGone: 'end' | 'go on' = 'end';
  const gone = (error: NodeJS.ErrnoException): void => {
    // EIO: the terminal was closed.
    if (error.code !== 'EPIPE' && error.code !== 'EIO') throw error;
    if (whenGone === 'end') process.exit(0);
  };
  process.stdout.on('error', gone);
  process.stderr.on('error', gone);
  return {
    out: sinkOf(process.stdout),
    err: sinkOf(process.stderr),
    input: process.stdin,
    ask,
    env: process.env,
    outliveReader: () => {
      whenGone = 'go on';
    },
  };
}

async function ask(prompt: string, signal: AbortSignal): Promise<string> {
  const { createInterface } = await import('node:readline/promises');
  const lines = createInterface({ input: process.stdin, output: process.stderr });
  try {
    return await lines.question(toTerminal(prompt), { signal });
  } finally {
    lines.close();
  }
}
