/** What the loss of a server means for a client, by what was under way. */

import type { Classification } from '@understudy/routing';
import type { Ended } from '../server/server-connection.ts';
import type { UnderWay } from './answers.ts';

/** What the loss of the server would mean for a statement. `BEGIN` alone can be sent again. */
export function underWayOf({ transaction, mayWrite, statements }: Classification, isInTransaction: boolean): UnderWay {
  const kind = transaction?.kind;
  if (kind === 'commit' || kind === 'prepare' || kind === 'commit-prepared' || kind === 'several') return 'commit';
  if (isInTransaction) return 'transaction';
  if (kind === 'begin' && statements === 1) return 'read';
  return mayWrite ? 'write' : kind === undefined ? 'read' : 'transaction';
}

const RANK: readonly UnderWay[] = ['read', 'transaction', 'write', 'commit'];
export const worse = (a: UnderWay, b: UnderWay): UnderWay => (RANK.indexOf(a) > RANK.indexOf(b) ? a : b);

/** Why the connection ended, for a client's eyes. */
export function describe(ended: Ended): string {
  switch (ended.kind) {
    case 'told':
      return `${ended.error.code}: ${ended.error.message}`;
    case 'lost':
      return `${ended.code}: ${ended.message}`;
    case 'closed':
      return 'the router closed the connection';
  }
}
