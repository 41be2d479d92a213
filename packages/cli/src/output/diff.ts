import type { Style } from './style.ts';

/** One line of a comparison. */
export interface DiffLine {
  readonly kind: 'same' | 'removed' | 'added';
  readonly text: string;
}

const linesMax = 2000;

/** The shortest way from one list of lines to another (longest common subsequence); both at most 2000 lines long. */
export function diffLines(before: readonly string[], after: readonly string[]): DiffLine[] {
  const a = before.slice(0, linesMax);
  const b = after.slice(0, linesMax);
  // common[i][j]: length of the longest common subsequence of a from i and b from j.
  const common = Array.from({ length: a.length + 1 }, () => new Uint16Array(b.length + 1));
  const at = (i: number, j: number): number => common[i]?.[j] ?? 0;
  for (let i = a.length - 1; i >= 0; i--) {
    const row = common[i];
    if (row === undefined) continue;
    for (let j = b.length - 1; j >= 0; j--) {
      row[j] = a[i] === b[j] ? at(i + 1, j + 1) + 1 : Math.max(at(i + 1, j), at(i, j + 1));
    }
  }
  const lines: DiffLine[] = [];
  let [i, j] = [0, 0];
  while (i < a.length || j < b.length) {
    if (i < a.length && j < b.length && a[i] === b[j]) {
      lines.push({ kind: 'same', text: a[i] ?? '' });
      i += 1;
      j += 1;
    } else if (i < a.length && (j >= b.length || at(i + 1, j) >= at(i, j + 1))) {
      lines.push({ kind: 'removed', text: a[i] ?? '' });
      i += 1;
    } else {
      lines.push({ kind: 'added', text: b[j] ?? '' });
      j += 1;
    }
  }
  return lines;
}

/** What differs, as `- old` and `+ new`. */
export function renderDiff(lines: readonly DiffLine[], style: Style): string[] {
  return lines.flatMap(({ kind, text }) => {
    if (kind === 'same') return [];
    return [kind === 'removed' ? style.red(`- ${text}`) : style.green(`+ ${text}`)];
  });
}
