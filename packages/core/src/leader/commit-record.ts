import type { ClusterContext } from '../context.ts';
import type { Commit } from '../values/command.ts';
import type { LeadershipRecord } from '../values/record.ts';

/** The record with `change`, on condition that it has not changed since it was read. */
export function commitRecord(ctx: ClusterContext, purpose: string, change: Partial<LeadershipRecord>): Commit {
  return {
    kind: 'commit',
    purpose,
    expect: [{ key: 'record', is: ctx.record.revision }],
    put: [{ key: 'record', value: { ...ctx.record.value, ...change } }],
  };
}
