import { monotonicMs, pollUntil } from '@understudy/base';
import { kill, type Session } from '@understudy/mysql/parts';
import { PairError } from '../errors.ts';
import { checkServers } from './checks.ts';
import type { Finding } from './facts.ts';
import { comparePositions, formatPosition, type LogPosition, positionOf } from './position.ts';
import { type OffsetServer, openSession, readFacts, readReplica } from './server.ts';
import { attach, attachStatement, detach } from './statements.ts';
import { runSteps, type Step } from './steps.ts';

const timeoutMs = 10_000;
const startedWithinMs = 20_000;

export interface Account {
  readonly user: string;
  readonly password: string;
}

export interface SwitchoverResult {
  readonly primary: string;
  readonly replica: string;
  /** Where the old primary's log ended, which the new one has executed exactly. */
  readonly executed: string;
  /** Where in the new primary's log the old one follows from. */
  readonly from: string;
  readonly pauseMs: number;
}

/** Refuses when a check says so; the message has every finding. @throws PairError `OFFSET_REFUSED` */
export function requireNoRefusal(findings: readonly Finding[]): void {
  const refusals = findings.filter(({ weight }) => weight === 'refuse');
  if (refusals.length === 0) return;
  const lines = refusals.map(({ server, text, fix }) => `${server}: ${text} ${fix}`);
  throw new PairError('OFFSET_REFUSED', lines.join('\n'));
}

/**
 * Exchanges the roles of a primary and its replica without loss: the primary is closed, the replica executes its log to the exact end, its own
 * place is noted, it is opened, and the old primary follows it from there.
 *
 * @throws PairError `OFFSET_REFUSED`, `OFFSET_UNDONE`, `OFFSET_FAILED`.
 */
export async function offsetSwitchover(
  primary: OffsetServer,
  replica: OffsetServer,
  account: Account,
  withinMs: number,
  tell: (text: string) => void,
): Promise<SwitchoverResult> {
  requireNoRefusal(checkServers(await readFacts(primary), await readFacts(replica), 'switchover'));
  await requireAccount(replica, account);
  const seen: { end: LogPosition | null; own: LogPosition | null; closedMs: number; openMs: number } = {
    end: null,
    own: null,
    closedMs: monotonicMs(),
    openMs: 0,
  };
  const back = (from: LogPosition) => ({ source: primary.login, account, from });
  const steps: Step[] = [
    {
      text: `close ${primary.address} for writes and end its clients' sessions`,
      run: async (leftMs) => {
        seen.closedMs = monotonicMs();
        await closePrimary(primary, leftMs);
      },
      undo: () => openPrimary(primary),
    },
    {
      text: `wait until ${replica.address} has executed its log to the exact end`,
      run: async (leftMs) => {
        seen.end = await settledEnd(primary.session, primary, leftMs);
        await waitForExact(replica, seen.end, leftMs);
      },
      undo: async () => undefined,
    },
    {
      text: `end the replication of ${replica.address} and note its own place`,
      run: async () => {
        await replica.session.query(`STOP ${replica.dialect.replica}`, [], timeoutMs);
        seen.own = await endOf(replica.session, replica);
        await detach(replica.session, replica.dialect);
      },
      undo: async () => {
        await replica.session.query(replica.dialect.close.statement, [], timeoutMs);
        if (seen.end !== null && (await readReplica(replica.session, replica.dialect)) === null)
          await attach(replica.session, replica.dialect, back(seen.end));
        else await replica.session.query(`START ${replica.dialect.replica}`, [], timeoutMs);
      },
    },
    {
      text: `open ${replica.address}`,
      run: async () => {
        await openPrimary(replica);
        seen.openMs = monotonicMs();
      },
      undo: null,
    },
    {
      text: `let ${primary.address} follow it`,
      run: async () => {
        if (seen.own === null) throw new Error("The place in the new primary's log is not known.");
        await attach(primary.session, primary.dialect, { source: replica.login, account, from: seen.own });
        await waitForThreads(primary);
      },
      undo: null,
    },
  ];
  await runSteps(steps, withinMs, tell, () => {
    const own =
      seen.own === null
        ? ''
        : ` ${attachStatement(primary.dialect, { source: replica.login, account, from: seen.own }, 'hidden')}`;
    return `${replica.address} is the primary now and is open; ${primary.address} is closed and does not follow. Remove the cause, then there:${own}`;
  });
  if (seen.end === null || seen.own === null) throw new PairError('OFFSET_FAILED', 'The places were not noted.');
  return {
    primary: replica.address,
    replica: primary.address,
    executed: formatPosition(seen.end),
    from: formatPosition(seen.own),
    pauseMs: Math.round(seen.openMs - seen.closedMs),
  };
}

/** The old primary will log in at the new one with this account: it is tried before anything is changed. */
async function requireAccount(replica: OffsetServer, { user, password }: Account): Promise<void> {
  const session = await openSession({ ...replica.login, user, password }).catch((error: unknown) => {
    const text = `The replication account "${user}" cannot log in at ${replica.address}, which is to become the primary.`;
    throw new PairError('OFFSET_REFUSED', text, {
      next: 'Make it on the present primary, and let it replicate.',
      cause: error,
    });
  });
  try {
    const rows = await session.query('SHOW GRANTS', [], timeoutMs);
    const rights = rows.flatMap((row) => Object.values(row)).join(' ');
    if (/REPLICATION SLAVE|REPLICATION REPLICA|ALL PRIVILEGES ON \*\.\*/i.test(rights)) return;
    const text = `The account "${user}" has no right to replicate.`;
    throw new PairError('OFFSET_REFUSED', text, {
      next: 'On the primary: GRANT REPLICATION SLAVE ON *.* TO it.',
    });
  } finally {
    await session.end();
  }
}

/** Closing waits for commits that are under way; given up at the deadline, so that new ones do not wait behind it. */
export async function closePrimary(server: OffsetServer, withinMs: number): Promise<void> {
  const { session, dialect } = server;
  await session.query('SET GLOBAL event_scheduler = OFF', [], timeoutMs);
  const closing = await server.open();
  const { threadId } = closing;
  try {
    await closing.query(dialect.close.statement, [], Math.min(withinMs, timeoutMs));
  } catch (error) {
    await kill(session, String(threadId));
    throw error;
  } finally {
    await closing.end();
  }
  // Those with more rights than others could write on, where read-only does not stop them.
  const rows = await session.query(
    `SELECT id AS id FROM information_schema.processlist WHERE id <> CONNECTION_ID()
      AND user NOT IN ('system user', 'event_scheduler') AND command NOT LIKE 'Binlog Dump%' AND command <> 'Daemon'`,
    [],
    timeoutMs,
  );
  for (const { id } of rows) if (id != null) await kill(session, id);
}

async function openPrimary({ session }: OffsetServer): Promise<void> {
  await session.query('SET GLOBAL read_only = OFF', [], timeoutMs);
  await session.query('SET GLOBAL event_scheduler = ON', [], timeoutMs);
}

async function endOf(session: Session, { dialect, address }: OffsetServer): Promise<LogPosition> {
  const [row] = await session.query(dialect.logStatus, [], timeoutMs);
  const end = positionOf(row?.File, row?.Position);
  if (end === null) throw new Error(`${address} does not say where its log ends.`);
  return end;
}

/** The end of a closed server's log: the same in two looks, as a privileged session's last commit may still be on its way. */
async function settledEnd(session: Session, server: OffsetServer, withinMs: number): Promise<LogPosition> {
  let last: LogPosition | null = null;
  const found = await pollUntil(
    async () => {
      const now = await endOf(session, server);
      const isSame = last !== null && comparePositions(last, now) === 0;
      last = now;
      return isSame ? now : null;
    },
    { everyMs: 50, timeoutMs: withinMs },
  );
  if (found === null)
    throw new Error(
      `The log of ${server.address} went on growing although it is closed: somebody with more rights writes.`,
    );
  return found;
}

async function waitForExact(
  { session, dialect, address }: OffsetServer,
  end: LogPosition,
  withinMs: number,
): Promise<void> {
  let at: LogPosition | null = null;
  const reached = await pollUntil(
    async () => {
      const channel = await readReplica(session, dialect);
      if (channel?.applier.error != null)
        throw new Error(
          `Its applier has stopped with error ${channel.applier.error.number}: ${channel.applier.error.text}`,
        );
      at = channel?.executed ?? null;
      return at !== null && comparePositions(at, end) === 0 ? true : null;
    },
    { everyMs: 20, timeoutMs: withinMs },
  );
  if (reached !== null) return;
  const there = at === null ? 'an unknown place' : formatPosition(at);
  throw new Error(`${address} was at ${there} instead of ${formatPosition(end)} when the time was over.`);
}

/** Waits until a new replica receives and applies. @throws Error with what it says */
export async function waitForThreads({ session, dialect, address }: OffsetServer): Promise<void> {
  let last = '';
  const running = await pollUntil(
    async () => {
      const channel = await readReplica(session, dialect);
      if (channel === null) return null;
      last =
        channel.receiver.error?.text ??
        channel.applier.error?.text ??
        `receiver ${channel.receiver.state}, applier ${channel.applier.state}`;
      return channel.receiver.state === 'running' && channel.applier.state === 'running' ? true : null;
    },
    { everyMs: 50, timeoutMs: startedWithinMs },
  );
  if (running === null) throw new Error(`${address} does not replicate: ${last}.`);
}
