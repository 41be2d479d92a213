import { monotonicMs } from '@understudy/base';
import { gtidUnion } from '@understudy/core';
import { readChannel, type Session, serverErrorOf } from '@understudy/mysql/parts';
import { type GtidKind, readPosition } from '../decide/positions.ts';
import type { ServerView, SideView } from '../decide/state.ts';
import type { PairServer } from './server.ts';

const lookTimeoutMs = 2000;
/** So many looks in a row without an answer are silence of the server; fewer may be a pause of this process itself. */
const failuresForSilence = 3;

/** Looks at one server again and again, and knows how long it has been silent. */
export class Watch {
  readonly #server: PairServer;
  #answeredPid: number | null = null;
  #failures = 0;
  #silentSinceMs = 0;

  constructor(server: PairServer) {
    this.#server = server;
  }

  /** Never throws: what cannot be seen is part of the view. */
  async look(): Promise<SideView> {
    const running = this.#server.process.check() === 'running' ? this.#server.process.running : null;
    if (running === null) {
      this.#failures = 0;
      return { process: 'gone', life: 'starting', server: null, silentMs: 0 };
    }
    const startedMs = monotonicMs();
    if (this.#answeredPid !== running.pid) await this.#settle(running.pid);
    const server = await this.#read();
    if (server !== null || (await this.#answers())) {
      this.#failures = 0;
    } else {
      if (this.#failures === 0) this.#silentSinceMs = startedMs;
      this.#failures += 1;
    }
    const life = this.#answeredPid === running.pid ? 'serving' : 'starting';
    const silentMs = this.#failures >= failuresForSilence ? monotonicMs() - this.#silentSinceMs : 0;
    const isGone = this.#server.process.check() === 'gone';
    if (isGone) return { process: 'gone', life: 'starting', server: null, silentMs: 0 };
    return { process: 'running', life, server: life === 'serving' ? server : null, silentMs };
  }

  async #read(): Promise<ServerView | null> {
    try {
      const server = await readServer(this.#server);
      // Clients may fill the server, and its supervisor must get in all the same.
      await this.#server.sql.keepSpares(lookTimeoutMs);
      return server;
    } catch {
      return null;
    }
  }

  /** A server whose replication status is locked, or that is full of clients, is alive: it is not ended for that. */
  async #answers(): Promise<boolean> {
    return this.#server.sql
      .fresh(lookTimeoutMs, (session) => session.query('SELECT 1', [], lookTimeoutMs))
      .then(
        () => true,
        (error: unknown) => serverErrorOf(error) !== undefined,
      );
  }

  async #settle(pid: number): Promise<void> {
    try {
      await this.#server.sql.monitor(lookTimeoutMs);
      await this.#server.settle();
      this.#answeredPid = pid;
    } catch {
      // It is not ready yet; the next look tries again.
    }
  }
}

/** What a server says now. @throws EngineError when it does not answer. */
export async function readServer({ sql, dialect }: PairServer): Promise<ServerView> {
  const session = await sql.monitor(lookTimeoutMs);
  const closed = dialect.gtids === 'sets' ? '@@global.super_read_only' : '@@global.read_only';
  const [row] = await session.query(`SELECT ${closed} AS closed`, [], lookTimeoutMs);
  const channel = await readChannel(session, dialect, lookTimeoutMs);
  const executed = await readExecuted(session, dialect.gtids);
  return {
    fence: ['0', 'OFF'].includes(row?.closed ?? '') ? 'open' : 'closed',
    executed,
    received: gtidUnion(executed, readPosition(dialect.gtids, channel?.received ?? '') ?? new Map()),
    link:
      channel === null
        ? null
        : {
            receiver: channel.receiver,
            applier: channel.applier,
            receiverError: channel.receiverError,
            applierError: channel.applierError,
          },
  };
}

/**
 * Everything that a server has executed, and that a reader sees. In MariaDB a transaction is in the log's state before it is visible, so
 * that state is taken for what the server has written itself, and for what it received the place where its applier is, which comes after.
 */
export async function readExecuted(session: Session, kind: GtidKind): Promise<ServerView['executed']> {
  if (kind === 'sets') {
    const [row] = await session.query('SELECT @@global.gtid_executed AS executed', [], lookTimeoutMs);
    return readPosition(kind, row?.executed ?? '') ?? new Map();
  }
  const [row] = await session.query(
    'SELECT @@global.gtid_domain_id AS own, @@global.gtid_binlog_state AS logged, @@global.gtid_slave_pos AS applied',
    [],
    lookTimeoutMs,
  );
  const logged = readPosition(kind, row?.logged ?? '') ?? new Map();
  const written = new Map([...logged].filter(([source]) => source.startsWith(`${row?.own ?? ''}-`)));
  return gtidUnion(written, readPosition(kind, row?.applied ?? '') ?? new Map());
}
