import { reasonOf } from '@understudy/base';
import type { ClusterContext } from '@understudy/engine';
import type { Instance } from '../instance.ts';
import { usualDatabases } from '../sql/local.ts';
import { checkpoint } from './checkpoint.ts';
import { keepMemberLogins } from './member-logins.ts';
import { keepRewindGrants, keepRoles } from './roles.ts';
import { keepSlots } from './slots.ts';

const statementTimeoutMs = 10_000;

/** These commits are repeated by the next leader if they are lost, so they wait for no replica (there may be none yet). */
export const waitForNobody = 'set synchronous_commit = local';

/** Makes the roles and slots of a primary that has just opened, then the checkpoint that `pg_rewind` waits for (C33). */
export async function provision(instance: Instance, context: ClusterContext, signal: AbortSignal): Promise<void> {
  await instance.sql.fresh(
    statementTimeoutMs,
    async (session) => {
      await session.rows(waitForNobody, statementTimeoutMs);
      await keepSlots(instance, session, 'primary', context, statementTimeoutMs);
      await keepRoles(session, instance, context);
      // Tried again every two seconds; the checkpoint, for which rewinds wait, comes without it.
      await keepMemberLogins(session, instance, context, statementTimeoutMs).catch((error: unknown) => {
        const message = `Logins of members are not all made yet: ${reasonOf(error)}`;
        instance.log({ level: 'warn', message });
      });
    },
    'ordinary',
  );
  await grantRewind(instance, signal);
  await checkpoint(instance, signal);
}

/** In each database that a rewind tries; one that takes no connections is left out. */
async function grantRewind(instance: Instance, signal: AbortSignal): Promise<void> {
  for (const database of usualDatabases) {
    // What runs now may be another server already.
    signal.throwIfAborted();
    try {
      await instance.sql.freshIn(database, statementTimeoutMs, async (session) => {
        await session.rows(waitForNobody, statementTimeoutMs);
        await keepRewindGrants(session, instance);
      });
    } catch (error) {
      const message = `Nobody can rewind through the database ${database}: ${reasonOf(error)}`;
      instance.log({ level: 'warn', message });
    }
  }
}
