import { shownLine } from './escapes.ts';
import { stripStyle, visibleWidth } from './style.ts';
import { padEnd, padStart, truncate } from './text.ts';

export interface Column<Row> {
  readonly title: string;
  readonly align?: 'left' | 'right';
  /** Which columns go first when the terminal is too narrow: those with the highest number; `never` stays. */
  readonly dropOrder: number | 'never';
  readonly cell: (row: Row) => string;
}

const gap = 2;
/** The last column takes what is left, but is dropped or kept whole rather than squeezed below this. */
const lastColumnMin = 12;

/**
 * Draws rows as aligned columns with a title line. Columns are dropped until the rest fits into `width`; the last one is cut to what
 * remains. Nothing is ever broken into a second line.
 */
export function table<Row>(columns: readonly Column<Row>[], rows: readonly Row[], width: number): string[] {
  const measured = columns.map((column) => {
    const cells = rows.map((row) => shownLine(column.cell(row)));
    const title = shownLine(column.title);
    return { title, column, cells, width: Math.max(visibleWidth(title), ...cells.map(visibleWidth)) };
  });
  const kept = fit(measured, width);
  const line = (values: readonly string[]): string =>
    values
      .map((value, index) => {
        const { column, width: columnWidth } = kept[index] ?? { column: null, width: 0 };
        const isLast = index === kept.length - 1;
        if (column?.align === 'right') return padStart(value, columnWidth);
        return isLast ? value : padEnd(value, columnWidth);
      })
      .join(' '.repeat(gap))
      .trimEnd();
  const used = kept.slice(0, -1).reduce((sum, { width: each }) => sum + each + gap, 0);
  const room = Math.max(0, width - used);
  const cut = (value: string, index: number): string =>
    index === kept.length - 1 && visibleWidth(value) > room ? truncate(stripStyle(value), room) : value;
  return [
    line(kept.map(({ title }, index) => cut(title, index))),
    ...rows.map((_, row) => line(kept.map(({ cells }, index) => cut(cells[row] ?? '', index)))),
  ];
}

interface Measured<Row> {
  readonly title: string;
  readonly column: Column<Row>;
  readonly cells: readonly string[];
  readonly width: number;
}

function fit<Row>(measured: readonly Measured<Row>[], width: number): readonly Measured<Row>[] {
  let kept = measured;
  const needed = (): number =>
    kept.reduce((sum, each, index) => {
      const isLast = index === kept.length - 1;
      return sum + (isLast ? Math.min(each.width, lastColumnMin) : each.width + gap);
    }, 0);
  while (needed() > width) {
    const droppable = kept.filter(({ column }) => column.dropOrder !== 'never');
    const first = droppable.toSorted((a, b) => Number(b.column.dropOrder) - Number(a.column.dropOrder))[0];
    if (first === undefined) return kept;
    kept = kept.filter((each) => each !== first);
  }
  return kept;
}
