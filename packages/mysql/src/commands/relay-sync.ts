import type { RunningServer } from '@understudy/engine/host';
import { syncRelayLog } from '../disk/sync.ts';
import type { Instance } from '../instance.ts';
import { readPosition, syncsEachEvent } from '../observe/position.ts';
import type { Session } from '../sql/session.ts';

const queryTimeoutMs = 4000;

type Parts = Pick<Instance, 'options' | 'facts' | 'dialect' | 'lines' | 'sizes' | 'systemId'>;

/**
 * From now on a server that acknowledges nothing receives without syncing each event: on a slow disk it would never catch up with clients
 * that write as fast as an acknowledger's syncs allow. It vouches for no more than what was synced (`keepSynced`) or applied. To be
 * called while nothing is received.
 */
export async function receiveUnsynced(parts: Parts, session: Session, running: RunningServer): Promise<void> {
  parts.facts.of(running.pid).synced = (await readPosition(parts, session)).position;
  await session.query('SET GLOBAL sync_relay_log = 0', [], queryTimeoutMs);
}

/**
 * Makes everything that was received survive a loss of power, and all that will be. To be called while nothing is received, and before
 * anybody counts on it: in this order, so that the server never looks as if it synced while something is not on the disk.
 */
export async function syncReceived({ options }: Pick<Instance, 'options'>, session: Session): Promise<void> {
  if (await syncsEachEvent(session)) return;
  await syncRelayLog(options.dataDir);
  await session.query('SET GLOBAL sync_relay_log = 1', [], queryTimeoutMs);
}

/**
 * Called every second while a server receives. One that acknowledges is made to sync again if somebody has changed that; for another one it
 * is done here, and then it vouches for that.
 */
export async function keepSynced(
  parts: Parts,
  session: Session,
  running: RunningServer,
  acknowledges: 'yes' | 'no',
): Promise<void> {
  if (await syncsEachEvent(session)) return;
  if (acknowledges === 'yes') await session.query('SET GLOBAL sync_relay_log = 1', [], queryTimeoutMs);
  const { position } = await readPosition(parts, session);
  await syncRelayLog(parts.options.dataDir);
  parts.facts.of(running.pid).synced = position;
}
