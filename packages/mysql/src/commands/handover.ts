import { monotonicMs, pollUntil, reasonOf } from '@understudy/base';
import { type Position, relation } from '@understudy/core';
import { EngineError } from '@understudy/engine';
import type { RunningServer } from '@understudy/engine/host';
import { isOpen } from '../dialect/dialect.ts';
import type { Instance } from '../instance.ts';
import { accounts } from '../names.ts';
import { readPosition } from '../observe/position.ts';
import type { ServerSession, Session } from '../sql/session.ts';
import { kill } from './readers.ts';
import { keepApplying } from './received.ts';
import { endReceiving } from './receiver-control.ts';

const connectTimeoutMs = 3000;
const queryTimeoutMs = 4000;
/** So many looks in a row must find all replicas waiting: one that has just been woken up still shows its old state. */
const quietLooks = 3;

/**
 * What has to happen in a server before it is shut down in order: nothing is written or received any more, and, for `handover`, every
 * connected replica has been sent the log to its end.
 *
 * @returns everything that the server holds at its end; null when that is not known.
 * @throws EngineError `ENGINE_STOP_TIMEOUT` for `handover`: the server is open again, and the message says what was waited for.
 */
export async function handOver(instance: Instance, mode: 'handover' | 'orderly'): Promise<Position | null> {
  const running = instance.process.running;
  if (running === null) return null;
  // A part of the whole time is left for the shutdown itself.
  const timeoutMs = instance.options.stopTimeoutMs * 0.6;
  return instance.sql.fresh(connectTimeoutMs, async (session) => {
    if (instance.facts.of(running.pid).role !== 'primary') {
      return endOfReplica(instance, session, running, timeoutMs);
    }
    return endOfPrimary(instance, session, running, { mode, timeoutMs });
  });
}

/** What lies unapplied in the relay log of MariaDB is applied, as its next start would need it; MySQL keeps and knows it. */
async function endOfReplica(
  instance: Instance,
  session: ServerSession,
  running: RunningServer,
  timeoutMs: number,
): Promise<Position | null> {
  await endReceiving(instance, session);
  await instance.upstream.clear(running);
  if (instance.dialect.gtids === 'sets') return (await readPosition(instance, session)).position;
  await keepApplying(session, instance.dialect);
  return pollUntil(
    async () => {
      const { position, applied } = await readPosition(instance, session);
      return position !== null && relation(position, applied) === 'equal' ? position : null;
    },
    { everyMs: 10, timeoutMs },
  );
}

async function endOfPrimary(
  instance: Instance,
  session: ServerSession,
  running: RunningServer,
  { mode, timeoutMs }: { readonly mode: 'handover' | 'orderly'; readonly timeoutMs: number },
): Promise<Position | null> {
  const endMs = monotonicMs() + timeoutMs;
  const left = (): number => Math.max(100, endMs - monotonicMs());
  const [row] = await session.query('SELECT @@global.read_only AS closed', [], queryTimeoutMs);
  // Whoever had closed it before finds it closed after a handover that was given up.
  const wasOpen = isOpen(row?.closed ?? '');
  if (wasOpen) await instance.opened.set(running, 'closing');
  try {
    await session.query('SET GLOBAL event_scheduler = OFF', [], queryTimeoutMs);
    await close(instance, left());
    if (mode === 'orderly' || instance.dialect.close.stops === 'unprivileged') await cutClients(session);
    if (mode === 'handover') await everythingSent(session, left());
    return (await readPosition(instance, session)).applied;
  } catch (error) {
    if (mode === 'orderly') return null;
    if (wasOpen) await undoClosing(instance, session, running);
    throw new EngineError('ENGINE_STOP_TIMEOUT', `The server was not stopped: ${reasonOf(error)}`, { cause: error });
  }
}

/** Opens a leader again whose handover was given up, or cut short by the end of its agent: it had not stopped leading. */
export async function undoClosing(instance: Instance, session: Session, running: RunningServer): Promise<void> {
  if ((await instance.opened.of(running)) !== 'closing') return;
  await session.query('SET GLOBAL read_only = OFF', [], queryTimeoutMs);
  await session.query('SET GLOBAL event_scheduler = ON', [], queryTimeoutMs);
  await instance.opened.set(running, 'open');
}

/**
 * Closes a server for writes (of whom: see `Dialect.close`). Closing waits for the commits that are under way. When that takes too long it
 * is given up, or new ones would wait behind it.
 *
 * @throws Error that says what was waited for.
 */
export async function close(instance: Pick<Instance, 'sql' | 'dialect'>, timeoutMs: number): Promise<void> {
  const closing = await instance.sql.open(connectTimeoutMs);
  const { threadId } = closing;
  try {
    await closing.query(instance.dialect.close.statement, [], timeoutMs);
  } catch (error) {
    const waits = await instance.sql.fresh(connectTimeoutMs, async (session) => {
      await kill(session, String(threadId));
      return whatWaits(session);
    });
    throw new Error(`commits were still under way after ${Math.round(timeoutMs)} ms (${waits}); ${reasonOf(error)}`);
  } finally {
    await closing.end();
  }
}

async function whatWaits(session: ServerSession): Promise<string> {
  const rows = await session.query(
    "SELECT state AS state, COUNT(*) AS sessions FROM information_schema.processlist WHERE command = 'Query' AND state <> '' GROUP BY state",
    [],
    queryTimeoutMs,
  );
  return rows.map(({ state, sessions }) => `${sessions} × "${state}"`).join(', ') || 'no session says why';
}

/** Ends the connections of all clients: privileged ones may still write on MariaDB, and MySQL's shutdown would wait ten seconds for an idle one. */
export async function cutClients(session: Session): Promise<void> {
  const rows = await session.query(
    `SELECT id AS id FROM information_schema.processlist
    WHERE user NOT IN ('system user', 'event_scheduler', 'unauthenticated user', ?) AND command NOT LIKE 'Binlog Dump%' AND command <> 'Daemon'`,
    [accounts.admin],
    queryTimeoutMs,
  );
  for (const { id } of rows) if (id !== null && id !== undefined) await kill(session, id);
}

/** Waits until every connected replica has been sent the log to its end. */
async function everythingSent(session: ServerSession, timeoutMs: number): Promise<void> {
  let quiet = 0;
  let busy: readonly string[] = [];
  const sent = await pollUntil(
    async () => {
      const rows = await session.query(
        `SELECT user AS user FROM information_schema.processlist WHERE command LIKE 'Binlog Dump%' AND COALESCE(state, '') NOT LIKE '%has sent all binlog%'`,
        [],
        queryTimeoutMs,
      );
      busy = rows.map(({ user }) => user ?? '');
      quiet = busy.length === 0 ? quiet + 1 : 0;
      return quiet >= quietLooks ? true : null;
    },
    { everyMs: 3, timeoutMs },
  );
  if (sent === null)
    throw new Error(`after ${Math.round(timeoutMs)} ms the log had not been sent to ${busy.join(', ')}.`);
}
