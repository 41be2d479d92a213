import { marksOrLetters, ownEscape, shownLine } from './escapes.ts';
import type { Sink } from './io.ts';
import { visibleWidth } from './style.ts';

export interface Screen {
  redraw(): void;
  /** Gives the terminal back as it was, with the last picture left on it. */
  close(): void;
}

const alternateOn = ownEscape('[?1049h') + ownEscape('[?25l');
const alternateOff = ownEscape('[?25h') + ownEscape('[?1049l');
const home = ownEscape('[H');
const clearLine = ownEscape('[K');
const clearBelow = ownEscape('[J');
const lineStart = ownEscape('[1G');

/**
 * A picture that fills the terminal and is drawn anew in place, also when the terminal changes its size. Lines that do not fit are
 * left out at the bottom.
 */
export function fullScreen(sink: Sink, draw: () => readonly string[]): Screen {
  const redraw = (): void => {
    const lines = draw()
      .slice(0, sink.rows() - 1)
      .map((line) => cutVisible(line, sink.columns()));
    sink.write(`${home}${lines.map((line) => `${line}${clearLine}`).join('\n')}\n${clearBelow}`);
  };
  const off = sink.onResize(redraw);
  let life: 'open' | 'closed' = 'open';
  const giveBack = (): void => {
    if (life === 'closed') return;
    life = 'closed';
    sink.write(alternateOff);
  };
  // Also when the process ends in another way than by `close`.
  process.on('exit', giveBack);
  sink.write(alternateOn);
  return {
    redraw,
    close: () => {
      const isOpen = life === 'open';
      off();
      process.off('exit', giveBack);
      giveBack();
      if (isOpen) sink.write(`${draw().map(shownLine).join('\n')}\n`);
    },
  };
}

/** Several lines at the end of a scrolling output that are drawn over until they are `done`. */
export interface LiveLines {
  show(lines: readonly string[]): void;
  /** Takes them away; what is written next begins where they were. */
  clear(): void;
}

export function liveLines(sink: Sink): LiveLines {
  let height = 0;
  const up = (): string => (height === 0 ? '' : ownEscape(`[${height}A`));
  return {
    show: (lines) => {
      const cut = lines.slice(0, sink.rows() - 1).map((line) => cutVisible(line, sink.columns() - 1));
      sink.write(`${up()}${cut.map((line) => `${clearLine}${line}\n`).join('')}${clearBelow}`);
      height = cut.length;
    },
    clear: () => {
      if (height > 0) sink.write(`${up()}${lineStart}${clearBelow}`);
      height = 0;
    },
  };
}

/** Cuts a decorated line to a width; the decoration that is open there is closed. */
export function cutVisible(line: string, width: number): string {
  const shown = shownLine(line);
  if (visibleWidth(shown) <= width) return shown;
  let used = 0;
  let cut = '';
  for (const [part, mark] of shown.matchAll(marksOrLetters)) {
    if (mark !== undefined) cut += part;
    else if (used < width - 1) {
      cut += part;
      used += 1;
    }
  }
  return `${cut}…`;
}
