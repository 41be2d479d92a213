import { join } from 'node:path';
import { EngineError } from '@understudy/engine';
import { removeFile, replaceFile } from '@understudy/engine/host';
import { preparedTransactions, preparedWarning } from '../checks/prepared.ts';
import { renderClientConfig } from '../config/file.ts';
import { writeBinlogState } from '../disk/binlog-files.ts';
import { copyTemplate, ensureTemplate } from '../disk/template.ts';
import { accounts } from '../names.ts';
import { pipePrograms } from '../process/pipe.ts';
import { isNewer, programOf } from '../programs.ts';
import { openMember } from '../sql/local.ts';
import { initCommand } from '../sql/setup.ts';
import type { CopyHost, CopyJob } from './copy-job.ts';
import { refuseLimit } from './copyable.ts';
import { type TemporaryServer, withTemporaryServer } from './temporary-server.ts';

const askTimeoutMs = 10_000;
const copyTimeoutMs = 7 * 24 * 3600 * 1000;

/**
 * Copies a whole database as statements: the source's dump program reads it in one transaction, and the client program writes it into a
 * server that is started for it on an empty database in `target`. The copy knows at which GTID it was made.
 *
 * @throws EngineError `ENGINE_CLONE_FAILED`, `ENGINE_BINARY_MISSING` when one of the two programs is not installed.
 */
export async function copyByDump(
  instance: CopyHost,
  { from, target, progress, signal, made = {} }: CopyJob,
): Promise<void> {
  await refusePrepared(instance, from);
  await refuseLimited(instance, from);
  const history = await historyOfRows(instance, from);
  await copyTemplate(await ensureTemplate(instance.programs, instance.options, signal, made), target, instance.owner);
  const settings = [
    ['server_id', String(instance.options.serverId)],
    ['innodb_buffer_pool_size', '128M'],
    // The whole copy becomes durable when this server shuts down; before that it is worth nothing.
    ['innodb_flush_log_at_trx_commit', '0'],
    ['innodb_doublewrite', 'OFF'],
    ['innodb_log_file_size', '256M'],
    ['max_allowed_packet', '1G'],
    ['performance_schema', 'OFF'],
    ...Object.entries(made),
    ...instance.config.helperSettings(),
  ] as const;
  const position = await withTemporaryServer(instance, target, settings, signal, 'shut-down', async (server) => {
    await pour(instance, from, server, { history, count: (bytes) => progress(bytes, null), signal });
    await refusePrepared(instance, from);
    await server.session.query('reset slave all');
    const [row] = await server.session.query('select @@global.gtid_slave_pos as position');
    const position = row?.position ?? '';
    if (position === '') {
      const text = `The copy from ${from.id} does not say at which GTID it was made.`;
      throw new EngineError('ENGINE_CLONE_FAILED', text, { next: 'Is its binary log on?' });
    }
    // Set once more: the table that keeps it may have been loaded after it was set.
    await server.session.query('set global gtid_slave_pos = ?', [position]);
    return position;
  });
  await writeBinlogState(target, position, instance.owner);
}

/** A dump does not hold prepared transactions: replication would stop where they are committed. Looked at before and after it. */
async function refusePrepared(instance: CopyHost, from: CopyJob['from']): Promise<void> {
  const session = await openMember(instance.options, from, 'clone', askTimeoutMs);
  try {
    const warning = preparedWarning(await preparedTransactions(session, instance.dialect));
    if (warning === null) return;
    const text = `A copy of ${from.id} would lack what is prepared there. ${warning} The copy is tried again.`;
    throw new EngineError('ENGINE_CLONE_FAILED', text);
  } finally {
    await session.end();
  }
}

async function refuseLimited(instance: CopyHost, from: CopyJob['from']): Promise<void> {
  const session = await openMember(instance.options, from, 'clone', askTimeoutMs);
  try {
    await refuseLimit(session, from.id);
  } finally {
    await session.end();
  }
}

interface Pouring {
  /** Whether tables are dumped with the rows that they had before. */
  readonly history: 'rows' | 'none';
  readonly count: (bytes: number) => void;
  readonly signal: AbortSignal;
}

/** The first version whose dump program writes earlier rows, and whose server takes them. */
const historySince = '10.11.0';

/**
 * System-versioned tables hold rows of the past, which a dump leaves out unless it is told otherwise: then a copy would answer
 * `FOR SYSTEM_TIME` differently, and nobody would see it.
 *
 * @throws EngineError `ENGINE_CLONE_FAILED` where such tables cannot be copied as statements.
 */
async function historyOfRows(instance: CopyHost, from: CopyJob['from']): Promise<'rows' | 'none'> {
  const session = await openMember(instance.options, from, 'clone', askTimeoutMs);
  try {
    const query =
      "select concat(table_schema, '.', table_name) as name from information_schema.tables where table_type = 'SYSTEM VERSIONED' limit 1";
    const [table] = await session.query(query, [], askTimeoutMs);
    if (table === undefined) return 'none';
    if (!isNewer(historySince, instance.programs.version, 2)) return 'rows';
    const text = `${table.name} on ${from.id} is system-versioned, and a copy as statements by version ${instance.programs.version} would lose its history.`;
    const next = `Install mariadb-backup on both hosts, or version ${historySince} or newer.`;
    throw new EngineError('ENGINE_CLONE_FAILED', text, { retry: 'unsafe', next });
  } finally {
    await session.end();
  }
}

async function pour(
  instance: CopyHost,
  from: CopyJob['from'],
  server: TemporaryServer,
  { history, count, signal }: Pouring,
): Promise<void> {
  const { programs, paths, options, owner } = instance;
  const [dumpFile, clientFile] = [join(paths.runDir, 'clone.dump.cnf'), join(paths.runDir, 'clone.client.cnf')];
  const tls = options.tls === null ? null : { ...paths.tls, verify: options.tls.verify };
  const { clone: password, admin } = options.secrets;
  const at = { host: from.host, port: String(from.port), protocol: 'tcp' };
  try {
    // The dump program runs as the server's user, and this server may never have been started.
    await instance.config.copyCertificates();
    await replaceFile(dumpFile, renderClientConfig({ ...at, user: accounts.clone, password }, tls), owner);
    const local = { socket: server.socket, user: accounts.admin, password: admin };
    await replaceFile(clientFile, renderClientConfig(local, null), owner);
    // The last two: where the copy is in the history, as a statement that the client carries out.
    const what = [
      '--all-databases',
      '--routines',
      '--events',
      '--triggers',
      '--hex-blob',
      '--single-transaction',
      '--quick',
    ];
    const dumped = history === 'rows' ? ['--dump-history'] : [];
    const where = [...dumped, '--flush-privileges', '--max-allowed-packet=1G', '--gtid', '--master-data=1'];
    const dump = {
      program: programOf(programs.dump, 'mariadb-dump'),
      args: [`--defaults-file=${dumpFile}`, ...what, ...where],
    };
    const reading = [`--defaults-file=${clientFile}`, '--binary-mode', '--max-allowed-packet=1G'];
    // Only a session may say so, and only then row_start and row_end are taken as they are.
    const past = history === 'rows' ? ['SET SESSION system_versioning_insert_history = ON'] : [];
    const client = { program: programOf(programs.client, 'mariadb'), args: [...reading, initCommand(...past)] };
    const { libraryPath } = programs;
    const timing = { timeoutMs: copyTimeoutMs, signal, failure: 'ENGINE_CLONE_FAILED', onBytes: count } as const;
    await pipePrograms(dump, client, { home: paths.runDir, libraryPath, owner, ...timing });
  } finally {
    await removeFile(dumpFile);
    await removeFile(clientFile);
  }
}
