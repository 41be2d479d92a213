import { monotonicMs, pollUntil } from '@understudy/base';
import { signalPid } from '@understudy/base/processes';
import { EngineError } from '@understudy/engine';
import { fenced } from '../config/managed.ts';
import { readControlFile } from '../disk/control-file.ts';
import { unfinishedTimelines } from '../disk/unfinished-timeline.ts';
import type { Instance } from '../instance.ts';
import { receiversOf } from '../process/receivers.ts';
import { reloadOrThrow } from './reload.ts';
import { stopInOrder } from './stop.ts';

const receiverTimeoutMs = 1000;
/** A receiver that has not left by itself by then is told to: a startup process busy with replay looks at its settings late. */
const askAfterMs = 60;

/**
 * Cuts the stream from the upstream and proves that nothing is received, and so nothing acknowledged, any more.
 *
 * The proof has two parts. No receiver process exists, by the kernel's list of the server's children, looked at after the
 * password file was emptied: so a receiver that the startup process may still ask for with its old settings (they are reloaded
 * asynchronously, C17) can log in nowhere. And a new process sees no upstream in the settings.
 *
 * Both files are on disk by then.
 *
 * @throws EngineError `ENGINE_SEAL_UNPROVEN` when either part cannot be shown in time; the attempt must then be given up.
 */
export async function seal(instance: Instance): Promise<void> {
  instance.acks.forget();
  await instance.config.write(fenced);
  // The seal must outlive a loss of power, or another starter of this server would let it acknowledge again. Meanwhile the server is told.
  const synced = instance.config.sync();
  synced.catch(() => undefined);
  const running = instance.postmaster.running;
  // A stopped server receives nothing, and every start is sealed.
  if (running === null) return synced;
  const facts = instance.facts.of(running.pid);
  if (facts.answered === 'never') {
    throw new EngineError('ENGINE_SEAL_UNPROVEN', 'The server is still starting; it cannot be asked yet.');
  }
  const undone = await reloadWithoutUpstream(instance);
  await receiverGone(running.pid);
  await synced;
  // A connection string of somebody else may hold a password of its own: a startup process that has not reloaded yet could still use it.
  if (undone.includes('primary_conninfo')) await stopInOrder(instance, 'orderly');
  else await settleTimeline(instance);
}

/**
 * Stops a server that was cut while its receiver fetched the first file of a new timeline: only its next start, which removes that
 * beginning, can bring back everything that it has confirmed (see `UnfinishedTimeline`).
 *
 * @returns `stopped` when the server had to be stopped.
 */
export async function settleTimeline(instance: Instance): Promise<'sound' | 'stopped'> {
  const { dataDir } = instance.options;
  const { walSegmentBytes } = await readControlFile(dataDir);
  const unfinished = await unfinishedTimelines(dataDir, walSegmentBytes, 'last-page');
  if (unfinished.length === 0) return 'sound';
  const list = unfinished.map(({ timeline }) => timeline).join(', ');
  instance.log({
    level: 'warn',
    message: `Cut while the beginning of timeline ${list} was being received: stopping to start without it.`,
  });
  await stopInOrder(instance, 'orderly');
  return 'stopped';
}

async function reloadWithoutUpstream(instance: Instance): Promise<readonly string[]> {
  const expected = { primary_conninfo: '', primary_slot_name: '', 'understudy.upstream': '' };
  return reloadOrThrow(instance, expected, 'ENGINE_SEAL_UNPROVEN');
}

async function receiverGone(postmasterPid: number): Promise<void> {
  const startMs = monotonicMs();
  const gone = await pollUntil(
    async () => {
      const receivers = await receiversOf(postmasterPid);
      if (receivers.length === 0) return true;
      // SIGTERM, never SIGKILL: the server takes a killed child for corrupted memory and stops.
      if (monotonicMs() - startMs > askAfterMs) for (const { pid } of receivers) signalPid(pid, 'SIGTERM');
      return null;
    },
    { everyMs: 3, timeoutMs: receiverTimeoutMs },
  );
  if (gone !== null) return;
  const text = `The receiver process did not end within ${receiverTimeoutMs} ms, so it may still acknowledge writes of the old leader.`;
  throw new EngineError('ENGINE_SEAL_UNPROVEN', text);
}
