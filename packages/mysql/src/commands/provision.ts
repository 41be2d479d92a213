import type { ClusterContext } from '@understudy/engine';
import { renewAccounts } from '../accounts.ts';
import type { Instance } from '../instance.ts';
import { makeLines, noteLine } from '../lines.ts';
import { quoteAccount, quoteIdentifier } from '../names.ts';
import { readPosition } from '../observe/position.ts';
import type { Session } from '../sql/session.ts';

const connectTimeoutMs = 2000;
const queryTimeoutMs = 5000;
/** These commits wait for acknowledgements like all others, and the replicas may only be coming back. */
const commitTimeoutMs = 60_000;

/** Makes true of a leader that has just opened what every leader needs: tables, accounts, running events. Long parts wait for replicas. */
export async function provision(instance: Instance, context: ClusterContext, signal: AbortSignal): Promise<void> {
  signal.throwIfAborted();
  // One session for all of it: it ends with the server that was opened.
  await instance.sql.fresh(connectTimeoutMs, async (session) => {
    await enableEvents(session);
    await makeLines(session, commitTimeoutMs);
    const { applied } = await readPosition(instance, session);
    const timeline = applied.timelines.at(-1);
    if (instance.dialect.gtids === 'sets' && timeline !== undefined) {
      await noteLine(session, timeline, await instance.systemId(), commitTimeoutMs);
    }
    const pid = instance.process.running?.pid;
    const rule = pid === undefined ? null : instance.acks.wanted(pid);
    await renewAccounts(instance, session, context, rule?.members ?? null);
  });
}

/** Events that came by replication are switched off here. They are switched on with the account that they belong to, on this server alone. */
async function enableEvents(session: Session): Promise<void> {
  const events = await session.query(
    `SELECT event_schema AS \`schema\`, event_name AS name, definer AS definer FROM information_schema.events
    WHERE status IN ('SLAVESIDE_DISABLED', 'REPLICA_SIDE_DISABLED')`,
    [],
    queryTimeoutMs,
  );
  if (events.length === 0) return;
  await session.query('SET SESSION sql_log_bin = 0', [], queryTimeoutMs);
  try {
    for (const { schema, name, definer } of events) {
      const at = (definer ?? '').lastIndexOf('@');
      const account = quoteAccount((definer ?? '').slice(0, at), (definer ?? '').slice(at + 1));
      const event = `${quoteIdentifier(schema ?? '')}.${quoteIdentifier(name ?? '')}`;
      await session.query(`ALTER DEFINER = ${account} EVENT ${event} ENABLE`, [], queryTimeoutMs);
    }
  } finally {
    await session.query('SET SESSION sql_log_bin = 1', [], queryTimeoutMs);
  }
}
