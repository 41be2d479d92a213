import type { ChangesView, HistoryView } from '@understudy/agent/client';
import type { Style } from '../output/style.ts';
import { type Column, table } from '../output/table.ts';
import { formatInstant } from '../output/text.ts';

type Entry = HistoryView[number];

const columns: readonly Column<Entry>[] = [
  { title: 'EPOCH', align: 'right', dropOrder: 'never', cell: ({ epoch }) => String(epoch) },
  { title: 'WHEN', dropOrder: 2, cell: ({ wallMs }) => formatInstant(wallMs) },
  { title: 'LEADER', dropOrder: 'never', cell: ({ leader }) => leader },
  { title: 'TL', align: 'right', dropOrder: 3, cell: ({ lineage }) => String(lineage) },
  { title: 'CHOSEN AT', dropOrder: 1, cell: ({ chosenAt }) => chosenAt ?? '–' },
  { title: 'WHY', dropOrder: 'never', cell: ({ cause }) => causeText(cause) },
];

/** Every change of leader, oldest first. */
export function renderHistory(history: HistoryView, style: Style, width: number): string[] {
  if (history.length === 0) return ['No leadership was ever recorded.'];
  const [title = '', ...lines] = table(columns, history, width);
  return [style.dim(title), ...lines];
}

const causes: Readonly<Record<string, string>> = {
  founded: 'the cluster was founded',
  'leader-lost': 'the leader was lost',
  'leader-restarted': 'the leader had stopped, and said where',
  'lease-expired': "the leader's lease ran out",
  switchover: 'planned switchover',
  'operator-failover': 'an operator asked for a failover',
  'operator-override': 'an operator forced it, without proof',
};

/** A cause in words; its code too, for those who search for it. */
export function causeText(cause: string): string {
  const text = causes[cause];
  return text === undefined ? cause : `${text} (${cause})`;
}

/** A change, and the member whose agent took it. */
export type RecordedChange = ChangesView['changes'][number] & { readonly member: string };

function whatOf({ what, body, skipped = 0 }: RecordedChange): string {
  const more = skipped === 0 ? '' : ` (and ${skipped} more refused)`;
  return `${what} ${body}`.trimEnd() + more;
}

const changeColumns: readonly Column<RecordedChange>[] = [
  { title: 'WHEN', dropOrder: 'never', cell: ({ wallMs }) => formatInstant(wallMs) },
  { title: 'WHO', dropOrder: 'never', cell: ({ who }) => who },
  { title: 'FROM', dropOrder: 2, cell: ({ from }) => from },
  { title: 'AGENT', dropOrder: 1, cell: ({ member }) => member },
  { title: 'ENDED', align: 'right', dropOrder: 3, cell: ({ status }) => (status === null ? '?' : String(status)) },
  { title: 'WHAT', dropOrder: 'never', cell: whatOf },
];

/** What was changed through the agents, oldest first. */
export function renderChanges(changes: readonly RecordedChange[], style: Style, width: number): string[] {
  if (changes.length === 0) return ['Nothing was changed through these agents.'];
  const [title = '', ...lines] = table(changeColumns, changes, width);
  return [style.dim(title), ...lines];
}
