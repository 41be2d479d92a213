import { pollUntil } from '@understudy/base';
import { type GtidSet, gtidContains } from '@understudy/core';
import {
  accounts,
  changeStatement,
  closeForWrites,
  cutClients,
  formatMariadbGtids,
  keepApplying,
  parseMariadbGtids,
  quoteLiteral,
  readChannel,
  type Session,
  startReceiver,
  stopReceiver,
} from '@understudy/mysql/parts';
import { sideNumbers } from '../decide/sides.ts';
import { readExecuted } from './look.ts';
import type { PairServer } from './server.ts';

const timeoutMs = 4000;
/** An applier ends after the transaction that it is at. */
const stopTimeoutMs = 30_000;

/**
 * Lets `server` receive from `source`, which answers, and apply. Safe to repeat; a channel is changed only when the address of its source
 * has changed.
 *
 * What MySQL has received and not yet applied stays. MariaDB throws it away when it starts with both threads stopped, and asks for it again:
 * nothing is lost by that, as it came from `source` alone, whose log has it on disk.
 *
 * @throws EngineError
 */
export async function link(server: PairServer, source: PairServer): Promise<void> {
  const { dialect, options } = server;
  const password = options.secrets.replication;
  await source.sql.monitor(timeoutMs);
  await server.sql.fresh(timeoutMs, async (session) => {
    await pointTo(session, server, source);
    const channel = await readChannel(session, dialect, timeoutMs);
    if (dialect.gtids === 'domains') {
      if (channel?.receiver === 'stopped' || channel?.applier === 'stopped') await beginAnew(session, server, source);
      return;
    }
    if (channel?.receiver === 'stopped') {
      await session.query(startReceiver(dialect, accounts.copy, password), [], timeoutMs);
    }
    await session.query(`START ${dialect.replica} SQL_THREAD`, [], timeoutMs);
  });
}

/**
 * MariaDB, both threads: an applier that is started alone after an error may begin with transactions that it has applied already (tried on
 * 11.8, two domains in one relay log), and stop there for good.
 */
async function beginAnew(session: Session, server: PairServer, source: PairServer): Promise<void> {
  await session.query('STOP SLAVE', [], stopTimeoutMs);
  await skipOwn(session, server, source);
  await session.query('START SLAVE', [], timeoutMs);
}

/**
 * A server of MariaDB asks its source for its own transactions too, from where it was told of them last, and passes over them. What the
 * source has executed of them need not be asked for; of a source that is a new copy it could not be had.
 */
async function skipOwn(session: Session, server: PairServer, source: PairServer): Promise<void> {
  const { domain, serverId } = sideNumbers[server.name];
  const known = parseMariadbGtids((await slavePosition(session)) ?? '') ?? [];
  const told = known.find((each) => each.domain === domain)?.sequence ?? 0n;
  const executed = (await executedBy(source)).get(`${domain}-${serverId}`)?.at(-1)?.last ?? 0n;
  if (executed <= told) return;
  const wanted = [...known.filter((each) => each.domain !== domain), { domain, server: serverId, sequence: executed }];
  // In strict mode a position before the server's own newest transaction is refused, which is what this is.
  await session.query('SET GLOBAL gtid_strict_mode = OFF', [], timeoutMs);
  try {
    await session.query(`SET GLOBAL gtid_slave_pos = ${quoteLiteral(formatMariadbGtids(wanted))}`, [], timeoutMs);
  } finally {
    await session.query('SET GLOBAL gtid_strict_mode = ON', [], timeoutMs);
  }
}

async function slavePosition(session: Session): Promise<string | null | undefined> {
  const [row] = await session.query('SELECT @@global.gtid_slave_pos AS position', [], timeoutMs);
  return row?.position?.replaceAll(/\s/g, '');
}

async function pointTo(session: Session, { dialect, options }: PairServer, source: PairServer): Promise<void> {
  const leader = source.options.listen;
  const found = await readChannel(session, dialect, timeoutMs);
  // A copy knows the channel of the server that it is a copy of, which led here.
  const isCopied = found?.port === options.listen.port;
  if (isCopied) {
    await session.query(`STOP ${dialect.replica}`, [], timeoutMs);
    await session.query(`RESET ${dialect.replica} ALL`, [], timeoutMs);
  }
  const channel = isCopied ? null : found;
  const isSame = channel !== null && channel.port === leader.port && channel.host === leader.host;
  if (isSame && channel.usesGtids === 'yes') return;
  if (channel !== null) {
    await stopReceiver(session, dialect);
    // MariaDB changes only what stands still.
    if (dialect.gtids === 'domains') await session.query('STOP SLAVE', [], timeoutMs);
  }
  const password = options.secrets.replication;
  const isNew = channel === null;
  // Both servers are on this machine.
  const target = { leader, user: accounts.copy, password, tls: null, security: 'key', isNew, delayS: 0 } as const;
  await session.query(changeStatement(dialect, target), [], timeoutMs);
}

/** Ends the receiving of a server, proven; what was received stays. @throws EngineError */
export async function unlink(server: PairServer): Promise<void> {
  await server.sql.fresh(timeoutMs, async (session) => {
    if ((await readChannel(session, server.dialect, timeoutMs)) !== null) await stopReceiver(session, server.dialect);
  });
}

/** Lets a server go on applying what it has received. @throws EngineError when an error stops it. */
export async function goOnApplying(server: PairServer): Promise<void> {
  await server.sql.fresh(timeoutMs, async (session) => {
    await keepApplying(session, server.dialect, { timeoutMs: 1000 });
  });
}

/** Closes a server for writes and ends its clients' sessions, also those that could write all the same. @throws Error */
export async function closeServer(server: PairServer, withinMs: number): Promise<void> {
  await server.sql.fresh(timeoutMs, async (session) => {
    await session.query('SET GLOBAL event_scheduler = OFF', [], timeoutMs);
    await closeForWrites(server, withinMs);
    await cutClients(session);
  });
}

/** Opens a server for writes. @throws EngineError */
export async function openServer(server: PairServer): Promise<void> {
  await server.sql.fresh(timeoutMs, async (session) => {
    await session.query('SET GLOBAL read_only = OFF', [], timeoutMs);
    await session.query('SET GLOBAL event_scheduler = ON', [], timeoutMs);
  });
}

/** Everything that a server has executed, now. @throws EngineError */
export async function executedBy(server: PairServer): Promise<GtidSet> {
  return readExecuted(await server.sql.monitor(timeoutMs), server.dialect.gtids);
}

/**
 * Waits until a server has executed everything in `wanted`.
 *
 * @returns `stopped` when its applier has an error; `late` when the deadline passed first.
 */
export async function waitForExecuted(
  server: PairServer,
  wanted: GtidSet,
  timing: { readonly timeoutMs: number; readonly signal?: AbortSignal },
): Promise<'reached' | 'stopped' | 'late'> {
  const result = await pollUntil(
    async () => {
      if (gtidContains(await executedBy(server), wanted)) return 'reached' as const;
      const channel = await readChannel(await server.sql.monitor(timeoutMs), server.dialect, timeoutMs);
      return channel?.applierError == null ? null : ('stopped' as const);
    },
    { everyMs: 10, ...timing },
  );
  return result ?? 'late';
}
