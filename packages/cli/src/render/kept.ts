import type { KeptView } from '@understudy/agent/client';
import type { Style } from '../output/style.ts';
import { type Column, table } from '../output/table.ts';
import { formatBytes, formatInstant } from '../output/text.ts';

type Row = KeptView['folders'][number] & { readonly member: string };

const columns: readonly Column<Row>[] = [
  { title: 'MEMBER', dropOrder: 'never', cell: ({ member }) => member },
  { title: 'NAME', dropOrder: 'never', cell: ({ name }) => name },
  { title: 'SIZE', align: 'right', dropOrder: 'never', cell: ({ bytes }) => formatBytes(bytes) },
  { title: 'SINCE', dropOrder: 2, cell: ({ sinceWallMs }) => formatInstant(sinceWallMs) },
  { title: 'ONLY COPY?', dropOrder: 1, cell: ({ history }) => (history === 'contained' ? 'no' : 'maybe') },
  { title: 'WHY', dropOrder: 'never', cell: ({ why }) => why },
];

/** What is kept of replaced data, by member and age. */
export function renderKept(
  views: readonly KeptView[],
  silent: readonly string[],
  style: Style,
  width: number,
): string[] {
  const rows = views.flatMap(({ member, folders }) => folders.map((folder) => ({ ...folder, member })));
  const [title = '', ...lines] = table(columns, rows, width);
  const folders = rows.length === 0 ? ['Nothing is kept of replaced data.'] : [style.dim(title), ...lines];
  const held = views.flatMap(({ member, held: why }) => (why === null ? [] : [`${member}: ${why}`]));
  const missing = silent.length === 0 ? [] : [`Not asked, because their agents do not answer: ${silent.join(', ')}.`];
  return [...folders, ...held, ...missing];
}
