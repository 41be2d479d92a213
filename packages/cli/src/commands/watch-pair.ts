import { pause } from '@understudy/base';
import { type PairDescription, pairStatus } from '@understudy/pair';
import { type Context, print } from '../context.ts';
import { EXIT, type ExitCode } from '../exit-codes.ts';
import { fullScreen } from '../output/screen.ts';
import { renderPair } from '../render/pair.ts';

/** `understudy status --watch` of a pair: redrawn on a terminal; in a pipe, printed whenever it has changed. */
export async function watchPair(context: Context, pair: PairDescription, intervalMs: number): Promise<ExitCode> {
  const signal = context.interruption();
  const { out } = context.io;
  let lines: readonly string[] = [];
  const screen = out.isTTY && context.format === 'text' ? fullScreen(out, () => lines) : null;
  let shown = '';
  try {
    while (!signal.aborted) {
      const status = await pairStatus(pair);
      const text = context.format === 'json' ? JSON.stringify(status) : null;
      lines = text === null ? renderPair(status, context.style, out.columns()) : [text];
      if (screen !== null) screen.redraw();
      else if (lines.join() !== shown) print(context, lines);
      shown = lines.join();
      await pause(intervalMs, signal);
    }
  } finally {
    screen?.close();
  }
  return EXIT.done;
}
