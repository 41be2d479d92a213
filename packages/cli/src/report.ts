import type { Failure } from './failure.ts';
import type { Io } from './output/io.ts';
import type { Style } from './output/style.ts';
import { hanging } from './output/text.ts';

/** Shows a failure on standard error: cause and next step, or the same as JSON. The stack only with `--debug`. */
export function reportFailure(
  io: Io,
  style: Style,
  failure: Failure,
  options: { readonly format: 'text' | 'json'; readonly debug: 'on' | 'off'; readonly error: unknown },
): void {
  if (options.format === 'json') {
    const { code, message, next, exitCode } = failure;
    io.err.write(`${JSON.stringify({ error: { code, message, next, exitCode } })}\n`);
  } else io.err.write(`${failureLines(failure, style, io.err.columns()).join('\n')}\n`);
  if (options.debug === 'on') io.err.write(`${stackOf(options.error)}\n`);
}

export function failureLines(failure: Failure, style: Style, width: number): string[] {
  const lines = failure.message.split('\n').flatMap((line, index) => {
    const label = index === 0 ? style.red('error: ') : '       ';
    return hanging(label, line, width);
  });
  return failure.next === '' ? lines : [...lines, ...hanging(style.dim('next:  '), failure.next, width)];
}

function stackOf(error: unknown): string {
  const parts: string[] = [];
  let current: unknown = error;
  for (let depth = 0; depth < 5 && current !== undefined; depth++) {
    parts.push(current instanceof Error ? (current.stack ?? current.message) : String(current));
    current = current instanceof Error ? current.cause : undefined;
  }
  return parts.join('\ncaused by: ');
}
