import { ownEscape, shownLine, withoutMarks } from './escapes.ts';
import type { Io, Sink } from './io.ts';

/** Decorates text. The plain style returns it unchanged, so that renderers need not know which one they have. */
export interface Style {
  readonly bold: (text: string) => string;
  readonly dim: (text: string) => string;
  readonly red: (text: string) => string;
  readonly green: (text: string) => string;
  readonly yellow: (text: string) => string;
  readonly cyan: (text: string) => string;
}

const plainText = (text: string): string => text;

export const PLAIN: Style = {
  bold: plainText,
  dim: plainText,
  red: plainText,
  green: plainText,
  yellow: plainText,
  cyan: plainText,
};

function ansi(open: number, close: number): (text: string) => string {
  return (text) => (text === '' ? '' : `${ownEscape(`[${open}m`)}${text}${ownEscape(`[${close}m`)}`);
}

export const COLOURED: Style = {
  bold: ansi(1, 22),
  dim: ansi(2, 22),
  red: ansi(31, 39),
  green: ansi(32, 39),
  yellow: ansi(33, 39),
  cyan: ansi(36, 39),
};

/**
 * Colour on a terminal, none in a pipe. `NO_COLOR` (any value) and `--no-color` turn it off, `FORCE_COLOR` (not `0`) on, as does
 * a terminal that says of itself that it is `dumb`.
 */
export function styleFor(sink: Sink, env: Io['env'], choice: 'automatic' | 'never'): Style {
  if (choice === 'never' || (env.NO_COLOR ?? '') !== '') return PLAIN;
  if ((env.FORCE_COLOR ?? '') !== '' && env.FORCE_COLOR !== '0') return COLOURED;
  return sink.isTTY && env.TERM !== 'dumb' ? COLOURED : PLAIN;
}

/** Columns that a line takes on a terminal: without its decoration, foreign controls as they are shown; no wide characters. */
export function visibleWidth(text: string): number {
  return [...withoutMarks(shownLine(text))].length;
}

export function stripStyle(text: string): string {
  return withoutMarks(text);
}
