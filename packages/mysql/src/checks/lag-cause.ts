import { setTimeout as delay } from 'node:timers/promises';
import type { Dialect } from '../dialect/dialect.ts';
import { shortText } from '../observe/applier.ts';
import type { Channel } from '../observe/channel.ts';
import type { Row, Session } from '../sql/session.ts';

const queryTimeoutMs = 1000;
/** A shorter transaction is none that one would wait for. */
const longTransactionS = 2;
const looks = 8;
const lookEveryMs = 25;

/** The transaction that the applier has been in for longest, with what its thread does; its rows are not in the answer. */
const applierQuery = `SELECT threads.state AS state, TIMESTAMPDIFF(SECOND, trx.trx_started, NOW()) AS seconds, trx.trx_rows_modified AS changed,
    trx.trx_state AS trx_state
  FROM information_schema.processlist AS threads
  LEFT JOIN information_schema.innodb_trx AS trx ON trx.trx_mysql_thread_id = threads.id
  WHERE threads.user = 'system user' AND (trx.trx_id IS NOT NULL OR threads.state LIKE 'Waiting for table%lock%' OR threads.state LIKE 'Waiting for%metadata lock')
  ORDER BY trx.trx_started IS NULL, trx.trx_started LIMIT 1`;

const threadsQuery = "SELECT state AS state FROM information_schema.processlist WHERE user = 'system user'";

/** What a lagging replica shows of its applier. */
export interface ApplierFacts {
  readonly lagMs: number;
  /** How long it waits on purpose. */
  readonly delayS: number;
  readonly applier: 'running' | 'stopped';
  /** The oldest transaction that it is in; null for none. */
  readonly transaction: {
    readonly seconds: number;
    readonly changedRows: string;
    readonly lockWait: string | null;
  } | null;
  /** The states of all threads of replication, look by look. */
  readonly states: readonly (readonly string[])[];
  readonly workers: { readonly name: string; readonly count: string };
}

/** A thread that makes a transaction durable, in the words of both products. */
const commits = /^(waiting for handler commit|commit|committing)/i;
/** A thread that writes what it received to the relay log, and syncs it. */
const queues = /^queueing (source|master) event/i;
const connected = /^(waiting for (source|master) to send event|queueing (source|master) event)/i;

/** Whether a thread was found in such a state in more than half of the looks. */
function isMostly(states: ApplierFacts['states'], pattern: RegExp): boolean {
  return states.filter((look) => look.some((state) => pattern.test(state))).length * 2 > states.length;
}

/** Why a replica does not apply what it has received, in one sentence with what to do. */
export function applyCause({ lagMs, delayS, applier, transaction, states, workers }: ApplierFacts): string {
  const lag = `This replica has applied nothing of the last ${Math.round(lagMs / 1000)} s or more`;
  if (delayS > 0) return `${lag}: it is delayed on purpose by ${delayS} s.`;
  if (applier === 'stopped') return `${lag}: its applier is stopped.`;
  if (transaction?.lockWait) {
    return `${lag}: its applier waits for a lock (${transaction.lockWait}) that a session on this server holds. End that session (SHOW PROCESSLIST).`;
  }
  if (transaction !== null && transaction.seconds >= longTransactionS) {
    return `${lag}: it is applying one transaction of ${transaction.changedRows} row changes so far, for ${transaction.seconds} s. Others wait for it; smaller transactions lag less.`;
  }
  if (isMostly(states, commits)) {
    return `${lag}: its disk is slow: its applier waits for commits to become durable most of the time. A faster disk helps; fewer and larger transactions do too.`;
  }
  if (Number(workers.count) <= 1) {
    return `${lag}: one thread applies what many wrote. Set ${workers.name} to 4 or more.`;
  }
  return `${lag}: more is written than its ${workers.count} applier threads can apply. More of them (${workers.name}), faster disks or fewer writes help.`;
}

/** Why a replica that is connected does not receive what its leader has written, in one sentence with what to do. */
export function receiveCause(lagMs: number, source: string, states: ApplierFacts['states']): string {
  const lag = `This replica has not received what ${source} wrote ${Math.round(lagMs / 1000)} s ago`;
  if (isMostly(states, queues)) {
    return `${lag}: its own disk is slow: it syncs every event that it receives. A faster disk helps.`;
  }
  if (!isMostly(states, connected)) return `${lag}: it is not connected.`;
  return `${lag}: the network between them is slow, or ${source} cannot send faster. Look at the network and at the load of ${source}.`;
}

/**
 * Asks a replica why it lags.
 *
 * @param lagMs how long it has lagged.
 */
export async function lagCause(
  session: Session,
  { workers }: Pick<Dialect, 'workers'>,
  channel: Channel,
  lagMs: number,
): Promise<string> {
  const [row] = await session.query(applierQuery, [], queryTimeoutMs);
  const [setting] = await session.query(`SELECT @@global.${workers} AS workers`, [], queryTimeoutMs);
  const transaction =
    row === undefined
      ? null
      : { seconds: Number(row.seconds ?? 0), changedRows: row.changed ?? '?', lockWait: lockWait(row) };
  const { delayS, applier } = channel;
  const states = await threadStates(session);
  return applyCause({
    lagMs,
    delayS,
    applier,
    transaction,
    states,
    workers: { name: workers, count: setting?.workers ?? '?' },
  });
}

/** What the threads of replication do, in several looks: one alone may catch them at anything. */
export async function threadStates(session: Session): Promise<ApplierFacts['states']> {
  const states: string[][] = [];
  while (states.length < looks) {
    if (states.length > 0) await delay(lookEveryMs);
    states.push((await session.query(threadsQuery, [], queryTimeoutMs)).map(({ state }) => state ?? ''));
  }
  return states;
}

function lockWait(row: Row): string | null {
  if (row.trx_state === 'LOCK WAIT') return 'of a row';
  return /waiting for/i.test(row.state ?? '') && /lock/i.test(row.state ?? '') ? shortText(row.state ?? '') : null;
}
