/** A report of a replica, as an agent streams it. */

import { epoch, incarnation, type LiveState, lsn, memberId, type Position, systemId } from '@understudy/core';
import type { PeerReport } from '../../src/peers/report.ts';

export const N1 = memberId('n1');
export const at = (offset: number): Position => ({ kind: 'wal', timeline: 1, lsn: lsn(BigInt(offset)), history: [] });

export function report(offset: number, member = N1): PeerReport {
  const live: LiveState = {
    member,
    incarnation: incarnation('i1'),
    epoch: epoch(3),
    engine: {
      kind: 'replica',
      systemId: systemId('7'),
      position: at(offset),
      replayed: at(offset),
      upstream: null,
      receiver: { kind: 'none' },
    },
    suspects: null,
    leaderPosition: null,
  };
  return {
    live,
    extra: {
      reasons: [],
      job: null,
      version: null,
      pendingRestart: [],
      warnings: [],
      retainedBytes: {},
      serves: 'replica',
      replayLagMs: null,
    },
  };
}
