import {
  type AckState,
  type EngineState,
  type MemberId,
  memberId,
  type PeerView,
  type Position,
  type Receiver,
  type ReplicaProgress,
} from '@understudy/core';
import { memberName } from '../server/acks.ts';
import type { SimServer, Stream } from '../server/server.ts';
import { silenceMs } from '../server/stream.ts';
import { type Branch, branchAt } from '../wal/branch.ts';
import { toPosition } from '../wal/position.ts';
import { reportedProgress } from './reports.ts';

/** What the agent's engine adapter sees of its server, apart from what it has to remember itself. */
export interface EngineMemory {
  readonly proof: { state(server: SimServer): AckState };
  /** What a leader takes the progress of its replicas from, where its server does not show it. */
  readonly peers: ReadonlyMap<MemberId, PeerView>;
  /** For how long, in running time of the agent, the server has not answered. */
  readonly unresponsiveMs: number;
  readonly startingMs: number;
  /** How long the receiver has been silent, counting only the running time of the agent. */
  readonly receiverSilentMs: number;
}

/** The state of a server as an observer on the same host finds it. */
export function engineState(server: SimServer, memory: EngineMemory): EngineState {
  if (server.disk === 'absent') return { kind: 'absent' };
  if (server.disk === 'incomplete') return { kind: 'incomplete' };
  if (server.branch === null || server.systemId === null) return { kind: 'absent' };
  if (server.process === 'down') return stopped(server);
  if (server.frozen || server.hung || server.process === 'stopping') {
    const was = server.process === 'replica' || server.process === 'primary' ? server.process : 'unknown';
    const role = server.process === 'stopping' ? 'primary' : was;
    return { kind: 'unresponsive', was: role, sinceMs: memory.unresponsiveMs };
  }
  switch (server.process) {
    case 'starting':
      return { kind: 'starting', sinceMs: memory.startingMs };
    case 'replica':
      return replica(server, memory);
    case 'primary':
      if (!isLeading(server)) return replica(server, memory);
      return {
        kind: 'primary',
        systemId: server.systemId,
        position: toPosition(server.branch, server.lsn),
        acks: memory.proof.state(server),
        replicas: server.flavour === 'postgres' ? progressOf(server) : reportedProgress(server, memory.peers),
      };
  }
}

/** What was opened is a primary until its processes end, whatever a variable says that anybody may set. */
function isLeading(server: SimServer): boolean {
  return server.process === 'primary';
}

function stopped(server: SimServer): EngineState {
  const { branch, systemId } = server;
  if (branch === null || systemId === null) return { kind: 'absent' };
  const clean = server.shutdown === 'clean';
  return {
    kind: 'stopped',
    shutdown: server.shutdown,
    position: clean ? toPosition(branch, server.lsn) : null,
    systemId,
  };
}

function replica(server: SimServer, memory: EngineMemory): EngineState {
  const { branch, systemId } = server;
  if (branch === null || systemId === null) return { kind: 'absent' };
  const position: Position = toPosition(branch, server.lsn);
  return {
    kind: 'replica',
    systemId,
    position: isKnown(server, branch) && !isSpoiled(server) ? position : null,
    replayed: server.flavour === 'postgres' ? position : toPosition(branch, server.appliedLsn),
    ...(server.flavour === 'postgres' ? configured(server, memory) : noted(server, memory)),
    ...(server.trouble.cannotOpen > 0 ? { blocked: 'its disk is broken' } : {}),
  };
}

/** MariaDB numbers by line: before the newest line's marker is applied, nobody can say where the earlier ones ended. */
function isKnown(server: SimServer, branch: Branch): boolean {
  if (!server.localEndKnown || server.flavour !== 'mariadb') return server.localEndKnown;
  const own = branchAt(branch, server.lsn);
  return own.parent === null || server.appliedLsn > own.forkLsn;
}

/** Opened by hand: its line may have another's number, so its position compares with nothing. */
function isSpoiled(server: SimServer): boolean {
  return server.spoiled;
}

type Following = Pick<Extract<EngineState, { kind: 'replica' }>, 'upstream' | 'receiver'>;

function configured(server: SimServer, memory: EngineMemory): Following {
  // It may receive at any moment, whether or not it does now.
  if (server.conninfoByHand) return { upstream: null, receiver: { kind: 'streaming', silentMs: 0 } };
  if (isSpoiled(server)) return { upstream: null, receiver: { kind: 'broken', cause: 'damaged' } };
  const upstream = server.configuredUpstream === null ? null : nameOf(server.configuredUpstream);
  return { upstream, receiver: receiverOf(server, memory) };
}

/** Whom the agent meant it to follow, unless it receives from elsewhere. That it is cut is said by the server alone. */
function noted(server: SimServer, memory: EngineMemory): Following {
  const { configuredUpstream, receiver } = server;
  const meant = server.noted?.life === server.life ? server.noted.upstream : null;
  const source = receiver?.source.index ?? configuredUpstream;
  const upstream = source === null || source === meant ? meant : null;
  if (upstream !== null) return { upstream: nameOf(upstream), receiver: receiverOf(server, memory) };
  const mayAcknowledge = source !== null || server.waitsForStandbys;
  return { upstream: null, receiver: mayAcknowledge ? { kind: 'streaming', silentMs: 0 } : { kind: 'none' } };
}

function receiverOf(server: SimServer, memory: EngineMemory): Receiver {
  const { receiver } = server;
  if (receiver !== null) return { kind: 'streaming', silentMs: memory.receiverSilentMs };
  return server.configuredUpstream === null ? { kind: 'none' } : { kind: 'broken', cause: server.receiverTrouble };
}

export function nameOf(index: number): MemberId {
  return NAMES[index] ?? memberId(`n${index + 1}`);
}

const NAMES: readonly MemberId[] = [1, 2, 3, 4, 5, 6, 7, 8, 9].map((number) => memberId(`n${number}`));

/** The index of the host that a member's name belongs to. */
export function indexOf(member: MemberId): number {
  return NAMES.indexOf(member);
}

function progressOf(server: SimServer): readonly ReplicaProgress[] {
  return server.senders
    .filter(({ byHand }) => !byHand)
    .map((stream) => ({
      member: memberName(stream.sink),
      kind: stream.caughtUp ? 'streaming' : 'catching-up',
      confirmed: confirmedBy(stream),
      silentMs: Math.round(silenceMs(stream, stream.quietToSource)),
    }));
}

/** A standby's confirmed LSN is a number; the primary knows it to be on its own history, since it sent it. */
function confirmedBy(stream: Stream): Position {
  const { branch } = stream.source;
  return toPosition(branch ?? stream.confirmedBranch, stream.confirmedLsn);
}
