import type { MemberView, StatusView } from '@understudy/agent/client';
import type { Style } from '../output/style.ts';
import { type Column, table } from '../output/table.ts';
import { formatDuration, formatInstant, hanging } from '../output/text.ts';
import { addressText, healthOf, lagText, painter, pendingRestarts, stateText, waitText } from './member.ts';

export interface RenderOptions {
  readonly style: Style;
  /** Columns; lines are broken or cut to fit. */
  readonly width: number;
}

const marks = { good: '●', warn: '◐', bad: '○' } as const;

/** The whole status as lines: who leads, what could be lost, the members, what is pending. */
export function renderStatus(status: StatusView, { style, width }: RenderOptions): string[] {
  const label = (text: string): string => style.dim(text.padEnd(12));
  return [
    headLine(status, style),
    ...hanging(label('Durability'), durabilityText(status), width),
    ...paint(
      hanging('RPO'.padEnd(12), status.rpo.text.replace(/^rpo: /, ''), width),
      rpoPainter(status, style),
      label('RPO'),
    ),
    ...(status.losses === null || status.losses === undefined ? [] : hanging(label('Survives'), status.losses, width)),
    ...storeLines(status, style, width, label('Store')),
    '',
    ...memberTable(status, style, width),
    ...pendingLines(status, style, width),
    ...status.warnings.flatMap((warning) => hanging(style.yellow('warning: '), warning, width)),
  ];
}

function headLine(status: StatusView, style: Style): string {
  const version = status.members.find((member) => member.version !== null)?.version;
  const parts = [
    `${style.bold(status.cluster)}: ${status.engine}${version === undefined ? '' : ` ${version}`}`,
    status.epoch === null ? 'no epoch yet' : `epoch ${status.epoch}`,
    leaderText(status, style),
    ...(status.paused ? [style.yellow('paused: no failover')] : []),
  ];
  return parts.join(' · ');
}

function leaderText(status: StatusView, style: Style): string {
  const { leader, phase, since } = status;
  if (leader === null) return style.red('no leader yet');
  if (phase !== 'open') return style.yellow(`${leader} is opening`);
  const ago =
    since === null ? '' : ` for ${formatDuration(Math.max(0, status.wallMs - since.wallMs))} (${since.cause})`;
  const agent = status.members.find(({ id }) => id === leader)?.agent;
  const silentMs = agent?.kind === 'silent' ? agent.silentMs : agent?.kind === 'refusing' ? agent.forMs : null;
  if (agent?.kind === 'silent' || agent?.kind === 'refusing') {
    const since = silentMs === null ? '' : `, ${formatDuration(silentMs)} ago`;
    return style.yellow(`${leader} is recorded as the leader, and led when it was last heard${since}`);
  }
  return `${style.green(leader)} leads${ago}`;
}

export function ruleText(rule: { readonly members: readonly string[]; readonly required: number }): string {
  return rule.required === 0 ? 'nobody else' : `any ${rule.required} of (${rule.members.join(', ')})`;
}

function durabilityText({ durability, rule, moving }: StatusView): string {
  if (durability === 'async') return 'async: commits do not wait for a replica';
  const now = rule === null ? '' : `: a commit waits for ${ruleText(rule)}`;
  return `sync${now}${moving === null ? '' : `, changing to ${ruleText(moving)}`}`;
}

function rpoPainter({ rpo }: StatusView, style: Style): (text: string) => string {
  return { 'zero-proven': style.green, 'zero-assumed': style.yellow, bounded: style.yellow, unknown: style.red }[
    rpo.kind
  ];
}

/** Colours lines whose label, of the same width, keeps its own. */
function paint(lines: readonly string[], colour: (text: string) => string, label: string): string[] {
  const indent = 12;
  return lines.map((line, index) => (index === 0 ? label : ' '.repeat(indent)) + colour(line.slice(indent)));
}

function storeLines({ store }: StatusView, style: Style, width: number, label: string): string[] {
  if (store.kind === 'current') {
    const { refusedWrite = null } = store;
    if (refusedWrite === null) return hanging(label, store.name, width);
    const text = `${store.name} takes no writes, so no failover is possible: ${refusedWrite}`;
    return paint(hanging('Store'.padEnd(12), text, width), style.red, label);
  }
  const silent = store.silentMs === null ? '' : ` for ${formatDuration(store.silentMs)}`;
  const effect = store.kind === 'stale' ? ': writes go on in sync, no failover is possible' : '';
  const why = store.problem === null ? '' : ` (${store.problem})`;
  const text = `${store.name} does not answer${silent}${effect}${why}`;
  return paint(hanging('Store'.padEnd(12), text, width), style.red, label);
}

function memberTable(status: StatusView, style: Style, width: number): string[] {
  const columns: readonly Column<MemberView>[] = [
    {
      title: '  MEMBER',
      dropOrder: 'never',
      cell: (member) => `${painter(style, healthOf(member))(marks[healthOf(member)])} ${member.id}`,
    },
    { title: 'ROLE', dropOrder: 'never', cell: (member) => roleText(member, style) },
    { title: 'STATE', dropOrder: 'never', cell: (member) => painter(style, healthOf(member))(stateText(member)) },
    { title: 'LAG', align: 'right', dropOrder: 1, cell: lagText },
    {
      title: 'TL',
      align: 'right',
      dropOrder: 3,
      cell: ({ lineage }) => (lineage === null ? '–' : String(lineage)),
    },
    { title: 'POSITION', dropOrder: 5, cell: ({ position }) => position?.replace(/^.*@/, '') ?? '–' },
    { title: 'ADDRESS', dropOrder: 2, cell: addressText },
    { title: 'ACTIVITY', dropOrder: 4, cell: waitText },
  ];
  const [title = '', ...lines] = table(columns, status.members, width);
  return [style.dim(title), ...lines];
}

function roleText(member: MemberView, style: Style): string {
  const { delayMs, nofailover } = member.tags;
  const late = delayMs > 0 && member.role !== 'leader' ? ` (delayed on purpose by ${formatDuration(delayMs)})` : '';
  const tags = late || (nofailover ? ' (nofailover)' : '');
  const text = `${member.role}${tags}`;
  return member.role === 'leader' ? style.bold(text) : text;
}

function pendingLines(status: StatusView, style: Style, width: number): string[] {
  const lines: string[] = [];
  const { request, lastOutcome } = status;
  if (request !== null) {
    const at = request.notBeforeWallMs === null ? '' : `, not before ${formatInstant(request.notBeforeWallMs)}`;
    lines.push('', ...hanging(style.cyan('asked for: '), `${request.text}${at}`, width));
  } else if (lastOutcome !== null && lastOutcome.result !== 'done' && status.wallMs - lastOutcome.wallMs < 600_000) {
    const ago = formatDuration(Math.max(0, status.wallMs - lastOutcome.wallMs));
    const text = `${lastOutcome.kind} ${lastOutcome.result} ${ago} ago: ${lastOutcome.reason}`;
    lines.push('', ...hanging(style.yellow('last request: '), text, width));
  }
  const restarts = pendingRestarts(status.members);
  if (restarts.length > 0) {
    const text = `${restarts.join('; ')}. All in turn: understudy restart --pending --rolling`;
    lines.push('', ...hanging(style.yellow('restart needed: '), text, width));
  }
  if (status.warnings.length > 0) lines.push('');
  return lines;
}
