import { join } from 'node:path';
import { reasonOf } from '@understudy/base';
import { EngineError } from '@understudy/engine';
import type { RunningServer } from '@understudy/engine/host';
import { removeFile, replaceFile } from '@understudy/engine/host';
import { renderClientConfig } from '../config/file.ts';
import { logFiles, relayLogName } from '../disk/binlog-files.ts';
import { changeIdentity, readIdentity } from '../disk/identity.ts';
import { syncRelayLog } from '../disk/sync.ts';
import { serverErrorOf } from '../errors.ts';
import type { Instance } from '../instance.ts';
import { accounts, quoteLiteral } from '../names.ts';
import { readChannel, waitsOnPurpose } from '../observe/channel.ts';
import { pipePrograms } from '../process/pipe.ts';
import { type Flavour, programOf } from '../programs.ts';
import type { Session } from '../sql/session.ts';
import { initCommand } from '../sql/setup.ts';

const applyTimeoutMs = 24 * 3600 * 1000;
const queryTimeoutMs = 10_000;

/** What a server needs after its start, whether or not something received may be unapplied. */
interface Settling {
  readonly apply: (instance: Instance, signal: AbortSignal) => Promise<void>;
  readonly resume: (instance: Instance) => Promise<void>;
}

const settlings: Readonly<Record<Flavour, Settling>> = {
  // Its relay log is read at the start, and counts as received until it is applied; in its last run it may not have synced it.
  mysql: { apply: ({ options }) => syncRelayLog(options.dataDir), resume: async () => undefined },
  // With GTIDs, it throws its relay log away as soon as replication is started again after a restart of the server (MDEV-4698).
  mariadb: {
    apply: applyRelayLog,
    resume: startApplier,
  },
};

/**
 * Makes sure that what the server received, and may have acknowledged, before it was started is part of what it says it holds. Until
 * then its position counts as unknown.
 *
 * @throws EngineError `ENGINE_START_FAILED` when it cannot be applied; the server runs on, and its position stays unknown.
 */
export async function settleReceived(instance: Instance, signal: AbortSignal): Promise<void> {
  const { facts, process: server, programs, options, owner } = instance;
  const running = server.running;
  const identity = await readIdentity(options.dataDir);
  if (running === null || identity === null || facts.of(running.pid).received === 'applied') return;
  const settling = settlings[programs.flavour];
  await noteEmptied(instance, running);
  if (identity.received === 'unknown') {
    try {
      await settling.apply(instance, signal);
    } catch (error) {
      if (isDamage(error)) facts.of(running.pid).damage = reasonOf(error).slice(0, damageCharsMax);
      throw error;
    }
    await changeIdentity(options.dataDir, owner, (present) => ({ ...present, received: 'applied' }));
  }
  await settling.resume(instance);
  facts.of(running.pid).received = 'applied';
}

/** Without the note all tables of MEMORY count as emptied. */
async function noteEmptied({ sql, emptied, log }: Instance, running: RunningServer): Promise<void> {
  try {
    await sql.fresh(queryTimeoutMs, (session) => emptied.note(running, session, queryTimeoutMs));
  } catch (error) {
    log({
      level: 'debug',
      message: 'which tables the start emptied is not known',
      fields: { reason: reasonOf(error) },
    });
  }
}

const damageCharsMax = 600;

/** Whether the program that reads the relay log could not make sense of it: a disk that is full, or a server that died, is none. */
const isDamage = (error: unknown): boolean =>
  /read_log_event|could not read entry|log format|invalid event|checksum/i.test(reasonOf(error));

/** Applies what the relay log holds beyond the server's position, under the same GTIDs, as a recovery to a point in time does. */
async function applyRelayLog(instance: Instance, signal: AbortSignal): Promise<void> {
  const { options, paths, programs, owner, sql } = instance;
  const files = await logFiles(options.dataDir, relayLogName);
  // A leader has no channel, and its relay log went with it.
  const channel = await sql.fresh(queryTimeoutMs, (session) => readChannel(session, instance.dialect, queryTimeoutMs));
  // What waits on purpose was acknowledged by nobody here (see `follow`): the leader sends it again.
  if (files.length === 0 || channel === null || waitsOnPurpose(channel)) return;
  const clientFile = join(paths.runDir, 'settle.client.cnf');
  const login = { socket: paths.socket, user: accounts.admin, password: options.secrets.admin };
  const { libraryPath } = programs;
  try {
    await replaceFile(clientFile, renderClientConfig(login, null), owner);
    const from = await sql.fresh(queryTimeoutMs, newestGtid);
    const start = from === null ? [] : [`--start-position=${from}`];
    const logs = files.map((name) => join(options.dataDir, name));
    const reader = {
      program: programOf(programs.binlog, 'mariadb-binlog'),
      // Without being told, it hands on what does not have its checksum any more.
      args: ['--no-defaults', '--verify-binlog-checksum', ...start, ...logs],
    };
    // A global `tx_read_only` would end it at its first transaction, an idle time limit while it waits for its reader.
    const reading = [`--defaults-file=${clientFile}`, '--binary-mode', '--max-allowed-packet=1G', initCommand()];
    const client = { program: programOf(programs.client, 'mariadb'), args: reading };
    const timing = { timeoutMs: applyTimeoutMs, signal, failure: 'ENGINE_START_FAILED' } as const;
    await pipePrograms(reader, client, { home: options.dataDir, libraryPath, owner, ...timing }).catch(allowNothing);
    await sql.fresh(queryTimeoutMs, adoptPosition);
  } catch (error) {
    if (!(error instanceof EngineError)) throw error;
    const text = `What was received before the start could not be applied: ${error.message}`;
    throw new EngineError(error.code, `${text} Until it is, this member cannot lead.`, { retry: 'safe', cause: error });
  } finally {
    await removeFile(clientFile);
  }
}

/** The log holds nothing beyond the position: its program calls that an error. */
function allowNothing(error: unknown): void {
  if (!/never reached expected GTID/i.test(reasonOf(error))) throw error;
}

/** The newest transaction that the server holds, whoever applied it; null when it holds none. There is one domain only. */
async function newestGtid(session: Session): Promise<string | null> {
  const query = 'select @@global.gtid_slave_pos as received, @@global.gtid_binlog_pos as logged';
  const [row] = await session.query(query, [], queryTimeoutMs);
  const found = [row?.received, row?.logged].filter((gtid): gtid is string => Boolean(gtid));
  return found.toSorted((a, b) => (sequenceOf(a) < sequenceOf(b) ? 1 : -1))[0] ?? null;
}

/** The number in `0-7-1234`. */
const sequenceOf = (gtid: string): bigint => BigInt(/-(\d+)$/.exec(gtid)?.[1] ?? '0');

/** What a client applied is in the binary log only; replication goes on from the other position. */
async function adoptPosition(session: Session): Promise<void> {
  const newest = await newestGtid(session);
  if (newest === null) return;
  await session.query(`set global gtid_slave_pos = ${quoteLiteral(newest)}`, [], queryTimeoutMs);
}

/** No such channel: the server has not followed anybody yet. */
const noChannel = 1200;

/** With its applier running, the server says what it has received in this run; the files of earlier runs are gone then. */
async function startApplier({ sql, dialect }: Instance): Promise<void> {
  await sql.fresh(queryTimeoutMs, async (session) => {
    await session.query(`START ${dialect.replica} SQL_THREAD`, [], queryTimeoutMs).catch((error: unknown) => {
      if (serverErrorOf(error) !== noChannel) throw error;
    });
  });
}
