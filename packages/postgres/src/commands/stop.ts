import { monotonicMs, pollUntil } from '@understudy/base';
import { refuseToReplacePrimary, stoppedTooLate } from '@understudy/engine/host';
import type { Instance } from '../instance.ts';
import { isForeignAcker, memberOfStream, sendersQuery } from '../observe/senders.ts';
import { FailingArchiver } from '../process/archiver.ts';

const queryTimeoutMs = 1000;
/** After a fast stop has taken too long, an immediate one (crash recovery at the next start) gets this long. */
const immediateTimeoutMs = 3000;

/** Ends the server at once, with everything it has not yet sent: none of that was acknowledged. */
export async function fence(instance: Instance): Promise<void> {
  instance.acks.forget();
  instance.sql.cut();
  await instance.postmaster.kill();
}

/**
 * Stops the server in order. `handover`: every member that follows receives the log to its very end (the shutdown checkpoint);
 * whoever else reads the log (a backup, `pg_receivewal`, a logical subscriber) is cut first, as the server would wait for it.
 *
 * @throws EngineError `ENGINE_STOP_TIMEOUT`: after `handover` the server may still be stopping, and the caller decides.
 */
export async function stopInOrder(instance: Instance, mode: 'handover' | 'orderly'): Promise<void> {
  const running = instance.postmaster.running;
  if (running === null) return;
  const facts = instance.facts.of(running.pid);
  const endMs = monotonicMs() + instance.options.stopTimeoutMs;
  if (mode === 'handover') await cutForeignReaders(instance);
  facts.life = 'ending';
  instance.postmaster.terminate('SIGINT');
  if ((await waitForEnd(instance, running.pid, Math.max(0, endMs - monotonicMs()))) === 'gone') {
    return instance.config.sealAtRest();
  }
  facts.life = 'serving';
  if (mode === 'handover')
    throw stoppedTooLate(instance.options.stopTimeoutMs, 'a replica or the archiver', instance.paths.log);
  instance.postmaster.terminate('SIGQUIT');
  if ((await instance.postmaster.waitForExit(immediateTimeoutMs)) === 'running') await instance.postmaster.kill();
}

/** As the postmaster's `waitForExit`, and the archiver does not lengthen it by trying what fails. */
async function waitForEnd(instance: Instance, pid: number, timeoutMs: number): Promise<'gone' | 'running'> {
  const { options, postmaster, notices } = instance;
  const archiver = new FailingArchiver(options.dataDir, pid);
  const gone = await pollUntil(
    async () => {
      if (postmaster.check() === 'gone') return true;
      if ((await archiver.look()) === 'ended') notices.add(unarchivedNotice);
      return null;
    },
    { everyMs: 5, timeoutMs },
  );
  return gone === null ? 'running' : 'gone';
}

const unarchivedNotice =
  'archive_command failed while the server stopped, and was not tried again: the newest log of this member is not in the archive. A replica archives it only with archive_mode = always.';

/**
 * Stops the server before its data is replaced.
 *
 * @throws EngineError `ENGINE_BUSY` when it is a primary: its data may be the only copy.
 */
export async function stopReplica(instance: Instance): Promise<void> {
  const running = instance.postmaster.running;
  if (running === null) return;
  refuseToReplacePrimary(await instance.observe());
  await stopInOrder(instance, 'orderly');
}

async function cutForeignReaders(instance: Instance): Promise<void> {
  const monitor = await instance.sql.monitor(queryTimeoutMs);
  const { membership } = instance.config;
  const senders = await monitor.rows(sendersQuery, queryTimeoutMs);
  const foreign = senders.filter(
    (row) => memberOfStream(membership, row) === null || isForeignAcker(membership, row, ''),
  );
  for (const { pid } of foreign) await monitor.rows(`select pg_terminate_backend(${pid})`, queryTimeoutMs);
}
