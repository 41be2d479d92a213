import type { MemberView, StatusView } from '@understudy/agent/client';
import type { Style } from '../output/style.ts';
import { type Column, table } from '../output/table.ts';
import { formatBytes, formatDuration } from '../output/text.ts';
import { type Branch, topologyOf } from '../topology/tree.ts';
import { healthOf, lagText, painter, stateText, waitText } from './member.ts';

interface Row {
  readonly branches: string;
  readonly member: MemberView;
  readonly remark: string;
}

/** The tree of replicas from the leader down, a line for each member, with the lag of each hop. */
export function renderTopology(status: StatusView, style: Style, width: number): string[] {
  const { root, outside } = topologyOf(status);
  const rows = [
    ...(root === null ? [] : rowsOf(root, '', '')),
    ...outside.map((member) => ({ branches: '? ', member, remark: waitText(member) })),
  ];
  const columns: readonly Column<Row>[] = [
    {
      title: 'MEMBER',
      dropOrder: 'never',
      cell: ({ branches, member }) => `${style.dim(branches)}${painter(style, healthOf(member))(member.id)}`,
    },
    { title: 'ROLE', dropOrder: 'never', cell: ({ member }) => roleText(member, style) },
    { title: 'STATE', dropOrder: 1, cell: ({ member }) => stateText(member) },
    { title: 'BEHIND ITS UPSTREAM', align: 'right', dropOrder: 'never', cell: ({ member }) => hopText(member) },
    { title: 'BEHIND THE LEADER', align: 'right', dropOrder: 2, cell: ({ member }) => lagText(member) },
    { title: '', dropOrder: 3, cell: ({ remark }) => remark },
  ];
  const [title = '', ...lines] = table(columns, rows, width);
  return [style.dim(title), ...lines];
}

function rowsOf({ member, replicas }: Branch, own: string, below: string): Row[] {
  const rows = replicas.flatMap((each, index) => {
    const isLast = index === replicas.length - 1;
    return rowsOf(each, `${below}${isLast ? '└─ ' : '├─ '}`, `${below}${isLast ? '   ' : '│  '}`);
  });
  return [{ branches: own, member, remark: remarkOf(member) }, ...rows];
}

/** What keeps a member from where it is wanted, in its own words. */
function remarkOf(member: MemberView): string {
  const { wantedUpstream } = member;
  return wantedUpstream === null || member.upstream === wantedUpstream ? '' : waitText(member);
}

const roleText = (member: MemberView, style: Style): string =>
  member.role === 'leader' ? style.bold(member.role) : member.role === 'sync-standby' ? 'acknowledges' : member.role;

/** `0 B / 3 ms`: what it has not received of its upstream, and how much older what it shows is. */
export function hopText({ hopLagBytes, hopLagMs }: Pick<MemberView, 'hopLagBytes' | 'hopLagMs'>): string {
  const parts = [
    ...(hopLagBytes === null ? [] : [formatBytes(hopLagBytes)]),
    ...(hopLagMs === null ? [] : [formatDuration(hopLagMs)]),
  ];
  return parts.length === 0 ? '–' : parts.join(' / ');
}

/** The same as JSON: each member with those below it. */
export function topologyJson(status: StatusView): unknown {
  const { root, outside } = topologyOf(status);
  return {
    leader: status.leader,
    epoch: status.epoch,
    tree: root === null ? null : branchJson(root),
    outside: outside.map(memberJson),
  };
}

const branchJson = ({ member, replicas }: Branch): unknown => ({
  ...memberJson(member),
  replicas: replicas.map(branchJson),
});

const memberJson = (member: MemberView) => ({
  id: member.id,
  role: member.role,
  state: member.state,
  upstream: member.upstream,
  wantedUpstream: member.wantedUpstream,
  hopLagBytes: member.hopLagBytes,
  hopLagMs: member.hopLagMs,
  lagBytes: member.replayLagBytes,
  lagMs: member.replayLagMs,
  doing: waitText(member),
});
