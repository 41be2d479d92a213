import type { Revision } from './brand.ts';
import type { LeadershipRecord, StoreSighting } from './record.ts';

/**
 * The newest leadership that one member has seen, and in which store. A member keeps it, synced, in its server's data directory
 * before anything relies on it, so that a store that was put back is noticed after a loss of power too.
 */
export interface StoreMark {
  readonly storeId: string;
  /** At which the record was written there: of one store only a higher one is newer. */
  readonly revision: Revision;
  readonly record: LeadershipRecord;
}

export function sightingOf(mark: StoreMark): StoreSighting {
  return { storeId: mark.storeId, epoch: mark.record.epoch, revision: mark.revision, leader: mark.record.leader };
}
