import { shownLine } from './output/escapes.ts';
import type { Io } from './output/io.ts';
import type { Style } from './output/style.ts';

/** What every command gets. */
export interface Context {
  readonly io: Io;
  /** `json`: standard output carries JSON and nothing else. */
  readonly format: 'text' | 'json';
  /** For standard output and for standard error. */
  readonly style: Style;
  readonly errStyle: Style;
  /** Aborted by the first Ctrl-C or SIGTERM. Until a command asks for it, a signal simply ends the process. */
  readonly interruption: () => AbortSignal;
}

/** Prints lines of text to standard output. A line break inside one of them is foreign, and becomes visible. */
export function print(context: Context, lines: readonly string[]): void {
  if (lines.length > 0) context.io.out.write(`${lines.map(shownLine).join('\n')}\n`);
}

/** Prints one value as JSON to standard output. */
export function printJson(context: Context, value: unknown): void {
  context.io.out.write(`${JSON.stringify(value, null, 2)}\n`);
}

/** Prints one value as one line of JSON, for those that follow what happens. */
export function printJsonLine(context: Context, value: unknown): void {
  context.io.out.write(`${JSON.stringify(value)}\n`);
}

/** A remark beside the result: to standard error, and only for people. */
export function note(context: Context, text: string): void {
  if (context.format === 'text') context.io.err.write(`${shownLine(text)}\n`);
}
