import type { PairNode, PairStatus, Problem } from '@understudy/pair';
import { engineFacts } from '../engine/facts.ts';
import type { Style } from '../output/style.ts';
import { type Column, table } from '../output/table.ts';
import { hanging, plural } from '../output/text.ts';

const eventsShown = 6;

/** The status of a circular pair for people. */
export function renderPair(status: PairStatus, style: Style, width: number): string[] {
  const { name, engine, version, active, writers, whole } = status;
  const dot = whole ? style.green('●') : style.yellow('●');
  const who = writers === 'one' ? `${active} takes writes` : 'both take writes';
  const head = `${dot} ${style.bold(`Pair ${name}`)}: ${engineFacts(engine).title} ${version}, circular, ${who}`;
  return [
    head,
    style.dim('  not an elected cluster: see the end'),
    '',
    ...nodeTable(status.nodes, style, width),
    ...status.notes.flatMap((note) => ['', ...hanging(style.yellow('! '), note, width)]),
    ...status.problems.flatMap((problem) => ['', ...problemLines(problem, style, width)]),
    '',
    ...comparisonLines(status, width),
    ...eventLines(status, style),
    '',
    style.bold('What this mode does not promise'),
    ...status.limits.flatMap((limit) => hanging('  - ', limit, width)),
  ];
}

function nodeTable(nodes: readonly PairNode[], style: Style, width: number): string[] {
  const columns: readonly Column<PairNode>[] = [
    { title: '  NODE', dropOrder: 'never', cell: ({ name }) => `  ${name}` },
    { title: 'ROLE', dropOrder: 'never', cell: ({ role }) => (role === 'active' ? style.green(role) : role) },
    { title: 'STATE', dropOrder: 'never', cell: ({ state }) => (state === 'serving' ? state : style.yellow(state)) },
    { title: 'WRITES', dropOrder: 'never', cell: ({ writes }) => writes },
    {
      title: 'BEHIND',
      align: 'right',
      dropOrder: 'never',
      cell: ({ behind }) => (behind === null ? '?' : String(behind)),
    },
    { title: 'RECEIVES', dropOrder: 2, cell: ({ receiver }) => receiver?.state ?? '–' },
    { title: 'APPLIES', dropOrder: 2, cell: ({ applier }) => applierCell(applier, style) },
    {
      title: 'NUMBERS',
      dropOrder: 3,
      cell: ({ autoIncrement: { offset, increment } }) => `${offset}, ${offset + increment}, …`,
    },
    { title: 'ADDRESS', dropOrder: 4, cell: ({ host, port }) => `${host}:${port}` },
    { title: 'PID', align: 'right', dropOrder: 5, cell: ({ pid }) => (pid === null ? '–' : String(pid)) },
  ];
  const [title = '', ...lines] = table(columns, nodes, width);
  return [style.dim(title), ...lines];
}

function applierCell(applier: PairNode['applier'], style: Style): string {
  if (applier === null) return '–';
  return applier.error === null ? applier.state : style.red('error');
}

/** One disagreement: what, the rows of each side, and how it is repaired. */
export function problemLines({ id, text, rows, artifact }: Problem, style: Style, width: number): string[] {
  return [
    ...hanging(`${style.red('✗')} ${style.bold(id)}  `, text, width),
    ...rows.flatMap(({ side, what, row }) => hanging(`    ${side} ${what}: `, rowText(row), width)),
    ...(artifact === null ? [] : [`    kept in ${artifact}`]),
    style.dim(`    understudy pair repair '${id}' --keep n1|n2`),
  ];
}

/** `id=5, v='x'`. */
export function rowText(row: Readonly<Record<string, string | null>> | null): string {
  if (row === null) return '(no such row)';
  return Object.entries(row)
    .map(([name, value]) => `${name}=${value === null ? 'NULL' : `'${value}'`}`)
    .join(', ');
}

function comparisonLines({ comparison, supervisorPid }: PairStatus, width: number): string[] {
  if (supervisorPid === null) return [];
  const { lastPassAt, rows, tables, everyS, remarks } = comparison;
  const text =
    lastPassAt === null
      ? `no complete pass yet (a part every ${everyS} s)`
      : `${plural(rows, 'row')} of ${plural(tables, 'table')} compared, complete at ${lastPassAt.slice(0, 19)}Z; a part every ${everyS} s`;
  return [...hanging('Compared  ', text, width), ...remarks.flatMap((remark) => hanging('          ', remark, width))];
}

function eventLines({ events }: PairStatus, style: Style): string[] {
  if (events.length === 0) return [];
  const shown = events
    .slice(-eventsShown)
    .map(({ at, text }) => `  ${style.dim(at.slice(0, 19).replace('T', ' '))}  ${text}`);
  return ['', style.bold('Lately'), ...shown];
}
