import { join } from 'node:path';
import { pollUntil, reasonOf } from '@understudy/base';
import { EngineError } from '@understudy/engine';
import { folderBytes, makeFolder, removeTree, renameTo, syncTree } from '@understudy/engine/host';
import type { Settings } from '../config/settings.ts';
import { copyTemplate, ensureTemplate } from '../disk/template.ts';
import { accounts, quoteAccount, quoteLiteral } from '../names.ts';
import type { Session } from '../sql/session.ts';
import type { CopyHost, CopyJob } from './copy-job.ts';
import { withTemporaryServer } from './temporary-server.ts';

const cloneTimeoutMs = 7 * 24 * 3600 * 1000;
const progressEveryMs = 250;
const busyEveryMs = 250;

/** Its start is a large part of a small copy: nothing is made that a copy does not need, and little memory is filled. */
const quickStart: Settings = [
  ['plugin_load_add', 'mysql_clone.so'],
  ['persisted_globals_load', 'OFF'],
  ['super_read_only', 'ON'],
  ['performance_schema', 'OFF'],
  ['secure_file_priv', 'NULL'],
  ['auto_generate_certs', 'OFF'],
  ['caching_sha2_password_auto_generate_rsa_keys', 'OFF'],
  ['max_connections', '10'],
  ['table_open_cache', '64'],
  ['host_cache_size', '0'],
  ['innodb_buffer_pool_size', '32M'],
  ['innodb_log_buffer_size', '1M'],
  ['innodb_adaptive_hash_index', 'OFF'],
  // They wait for work by spinning.
  ['innodb_log_writer_threads', 'OFF'],
  // As the template has it: it would be written anew.
  ['innodb_redo_log_capacity', '8M'],
  ['innodb_doublewrite', 'OFF'],
  ['innodb_flush_log_at_trx_commit', '0'],
];

/** The data directory of the server that copies, in the folder of an unfinished copy. */
export const baseName = 'base';

/**
 * Copies a whole database with the CLONE plugin into `target`, which must not exist. The plugin runs in a server, so one is started for
 * it on an empty database; it writes the copy beside that.
 *
 * @throws EngineError `ENGINE_CLONE_FAILED` with the reason that the servers gave.
 */
export async function copyByPlugin(instance: CopyHost, job: CopyJob): Promise<void> {
  const { from, target, totalBytes, progress, signal, made = {}, alike = [['mysqlx', 'OFF']] } = job;
  // The server makes the folder of the copy itself, and may write nowhere above.
  const work = `${target}.work`;
  const [base, copy] = [join(work, baseName), join(work, 'data')];
  const measure = setInterval(() => {
    folderBytes(copy).then(
      (bytes) => progress(bytes, totalBytes === null ? null : Math.max(totalBytes, bytes)),
      () => undefined,
    );
  }, progressEveryMs);
  try {
    await makeFolder(work, instance.owner);
    // The plugin runs as the server's user, and this server may never have been started.
    await makeFolder(instance.paths.runDir, instance.owner);
    await instance.config.copyCertificates();
    await copyTemplate(
      await ensureTemplate(instance.programs, instance.options, signal, made),
      base,
      instance.owner,
      'cached',
    );
    const settings: Settings = [
      ['clone_valid_donor_list', `${from.host}:${from.port}`],
      ['server_id', String(instance.options.serverId)],
      ...quickStart,
      ...Object.entries(made),
      ...alike,
      ...tlsSettings(instance),
      // Nobody asks it anything.
      ['loose_mysqlx_socket', join(work, 'x.sock')],
    ];
    await withTemporaryServer(instance, base, settings, signal, 'kill', ({ session }) =>
      cloneInto(instance, session, job, copy),
    );
    await syncTree(copy);
    await renameTo(copy, target);
  } finally {
    clearInterval(measure);
    await removeTree(work);
  }
}

/** The plugin checks the certificate of its source only when it is given an authority, and shows ours where it is asked for one. */
function tlsSettings({ options, paths }: CopyHost): Settings {
  if (options.tls === null) return [];
  const { ca, cert, key } = paths.tls;
  return [
    ['loose_clone_ssl_ca', ca],
    ['loose_clone_ssl_cert', cert],
    ['loose_clone_ssl_key', key],
  ];
}

async function cloneInto(
  instance: CopyHost,
  session: Session,
  { from, signal }: CopyJob,
  target: string,
): Promise<void> {
  const source = `${quoteAccount(accounts.clone, from.host)}:${from.port}`;
  const tls = instance.options.tls === null ? '' : ' REQUIRE SSL';
  const password = quoteLiteral(instance.options.secrets.clone);
  const statement = `CLONE INSTANCE FROM ${source} IDENTIFIED BY ${password} DATA DIRECTORY = ${quoteLiteral(target)}${tls}`;
  const done = await pollUntil(
    async () => {
      try {
        await session.query(statement, [], cloneTimeoutMs);
        return true;
      } catch (error) {
        // A source gives one copy at a time.
        if (/too many concurrent clone/i.test(reasonOf(error))) return null;
        const text = `Copying the database from ${from.id} failed: ${reasonOf(error)}.`;
        throw new EngineError('ENGINE_CLONE_FAILED', text, { cause: error });
      }
    },
    { everyMs: busyEveryMs, timeoutMs: cloneTimeoutMs, signal },
  );
  if (done !== null) return;
  const text = `${from.id} was busy with other copies for days.`;
  throw new EngineError('ENGINE_CLONE_FAILED', text, { next: 'Look at its process list.' });
}
