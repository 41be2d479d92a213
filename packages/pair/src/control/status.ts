import type { PairFile } from '../circular/pair-file.ts';
import type { Supervisor } from '../circular/supervisor.ts';
import { missingFrom, positionText } from '../decide/positions.ts';
import { offsetIncrement, otherSide, type SideName, sideNames, sideNumbers } from '../decide/sides.ts';
import type { SideView } from '../decide/state.ts';
import type { PairNode, PairStatus, Problem } from './protocol.ts';

const loopback = '127.0.0.1';
const eventsShown = 20;

/** What a pair cannot promise, said wherever it is shown. */
export function limitsOf(writers: PairFile['writers']): readonly string[] {
  const always = [
    'Replication is asynchronous: when the active server dies, what it had not sent yet is missing on the other one until it returns, and somebody decides about it then.',
    'Two servers are no majority: nobody else confirms a death. It is safe because one process of this machine starts and ends both; when that process does not run, nothing fails over.',
  ];
  if (writers === 'one') return always;
  return [
    ...always,
    'Both servers take writes: offsets keep AUTO_INCREMENT values apart, and nothing else. Other unique keys, two updates of one row, an update against a delete, foreign keys, triggers and DDL can conflict, and a conflict is found after both commits have succeeded.',
  ];
}

export interface Findings {
  readonly problems: readonly Problem[];
  readonly comparison: PairStatus['comparison'];
}

/** The status of a running pair. */
export function statusOf(supervisor: Supervisor, version: string, findings: Findings): PairStatus {
  const { file } = supervisor.ledger;
  const { views } = supervisor;
  return {
    ...common(supervisor.ledger.folder, file),
    version,
    supervisorPid: process.pid,
    whole: supervisor.isWhole() && findings.problems.length === 0,
    nodes: sideNames.map((side) => nodeOf(side, file, views[side], views[otherSide(side)], supervisor)),
    problems: [...findings.problems],
    notes: [...new Set([...supervisor.notes, ...receiverNotes(views, file), ...supervisor.problems()])],
    comparison: findings.comparison,
  };
}

/** Why a server does not receive, and what to do. */
function receiverNotes(views: Supervisor['views'], { active }: PairFile): readonly string[] {
  return sideNames.flatMap((side) => {
    const error = views[side].server?.link?.receiverError ?? null;
    if (error === null) return [];
    const text = error.text.replaceAll(/\s+/g, ' ').slice(0, 300);
    const isGone = error.number === 1236 || error.number === 13_114;
    const next = isGone ? ` A new copy is the way: understudy pair repair copy --keep ${active}` : '';
    return [`${side} does not receive from ${otherSide(side)}: error ${error.number}: ${text}.${next}`];
  });
}

/** The status of a pair that nobody runs, as its folder says. @param pids of servers that run all the same. */
export function statusOfFile(
  folder: string,
  file: PairFile,
  pids: Readonly<Record<SideName, number | null>>,
): PairStatus {
  const nobodyLooks = (side: SideName): SideView => ({
    process: pids[side] === null ? 'gone' : 'running',
    life: 'serving',
    server: null,
    silentMs: 0,
  });
  const left = sideNames.filter((side) => pids[side] !== null);
  const note =
    'No process runs this pair: nothing is looked at, nothing fails over. Start it: understudy up --topology circular';
  return {
    ...common(folder, file),
    version: file.version,
    supervisorPid: null,
    whole: false,
    nodes: sideNames.map((side) => ({
      ...nodeOf(side, file, nobodyLooks(side), nobodyLooks(otherSide(side)), null),
      state: pids[side] === null ? 'down' : 'unwatched',
      pid: pids[side],
    })),
    problems: [],
    notes:
      left.length === 0 ? [note] : [note, `${left.join(' and ')} still run. "up" takes them over, "down" stops them.`],
    comparison: { lastPassAt: null, rows: 0, tables: 0, everyS: file.checkEveryS, remarks: [] },
  };
}

function common(folder: string, { name, engine, active, writers, events }: PairFile) {
  return {
    name,
    topology: 'circular' as const,
    engine,
    folder,
    active,
    writers,
    limits: [...limitsOf(writers)],
    events: events.slice(-eventsShown),
  };
}

function nodeOf(
  side: SideName,
  file: PairFile,
  view: SideView,
  other: SideView,
  supervisor: Supervisor | null,
): PairNode {
  const { serverId, offset, domain } = sideNumbers[side];
  const { server } = view;
  const theirs = other.server?.executed;
  const behind = (held: ReadonlyMap<string, readonly { first: bigint; last: bigint }[]> | undefined) =>
    held === undefined || theirs === undefined ? null : Number(missingFrom(theirs, held).transactions);
  const link = server?.link ?? null;
  const errorText = (error: { readonly number: number; readonly text: string } | null): string | null =>
    error === null ? null : `${error.number}: ${error.text.replaceAll(/\s+/g, ' ').slice(0, 600)}`;
  return {
    name: side,
    host: loopback,
    port: file.nodes[side].dbPort,
    pid: supervisor?.servers[side].process.running?.pid ?? null,
    role: file.active === side ? 'active' : 'passive',
    state: stateOf(view),
    writes: server?.fence ?? (view.process === 'gone' ? 'closed' : 'unknown'),
    position:
      server === null
        ? null
        : positionText(file.engine === 'mysql' ? 'sets' : 'domains', server.executed).slice(0, 2000),
    behind: behind(server?.executed),
    unreceived: behind(server?.received),
    receiver: link === null ? null : { state: link.receiver, error: errorText(link.receiverError) },
    applier: link === null ? null : { state: link.applier, error: errorText(link.applierError) },
    serverId,
    autoIncrement: { increment: offsetIncrement, offset },
    gtidDomain: file.engine === 'mariadb' ? domain : null,
  };
}

function stateOf({ process, life, server }: SideView): PairNode['state'] {
  if (process === 'gone') return 'down';
  if (life === 'starting') return 'starting';
  return server === null ? 'silent' : 'serving';
}
