import { pollUntil, reasonOf } from '@understudy/base';
import { EngineError } from '@understudy/engine';
import type { Dialect } from '../dialect/dialect.ts';
import type { Instance } from '../instance.ts';
import { quoteLiteral } from '../names.ts';
import { type Channel, type OtherChannel, readChannels } from '../observe/channel.ts';
import type { Session } from '../sql/session.ts';
import { letGoOfSilent, removeLetGo, type SilenceMs } from './let-go.ts';
import { syncReceived } from './relay-sync.ts';

const queryTimeoutMs = 3000;
const stopTimeoutMs = 3000;

/**
 * Stops every thread that receives, and those alone, so that the relay log stays and is applied to its end. Proven in two ways: the
 * channels say so, and no such thread is among the server's. Channels that somebody else made are stopped too, as they acknowledge like
 * the agent's own, and stay configured.
 *
 * @param silentMs for how long nothing has arrived from the source, as far as that is known: one that is frozen or cut off would be waited for.
 * @returns the channel after that; null when there is none.
 * @throws EngineError `ENGINE_SEAL_UNPROVEN`.
 */
export async function stopReceiver(
  session: Session,
  dialect: Dialect,
  silentMs: SilenceMs = null,
): Promise<Channel | null> {
  try {
    await removeLetGo(session, dialect);
    const { own, others } = await readChannels(session, dialect, queryTimeoutMs);
    if (own !== null || others.length > 0) {
      const { endTimeout, replicaEnabled } = dialect.semiSync;
      if (endTimeout !== null) await session.query(`SET GLOBAL ${endTimeout} = 1`, [], queryTimeoutMs);
      await session.query(`SET GLOBAL ${replicaEnabled} = OFF`, [], queryTimeoutMs);
      await letGoOfSilent(session, dialect, silentMs);
      if (own !== null) await session.query(stopOwn(dialect), [], stopTimeoutMs);
      for (const other of others) await stopOther(session, dialect, other);
      await removeLetGo(session, dialect);
    }
    const gone = await pollUntil(
      async () => {
        const now = await readChannels(session, dialect, queryTimeoutMs);
        if ([now.own, ...now.others].some((each) => each !== null && each.receiver !== 'stopped')) return null;
        const threads = await session.query(dialect.receiverThreads, [], queryTimeoutMs);
        return threads.length === 0 ? { channel: now.own } : null;
      },
      { everyMs: 3, timeoutMs: stopTimeoutMs },
    );
    if (gone !== null) return gone.channel;
  } catch (error) {
    throw unproven(reasonOf(error), error);
  }
  throw unproven(`its receiver thread still runs after ${stopTimeoutMs} ms`);
}

/** Without a name, MySQL would stop all channels and MariaDB the one without a name. */
const stopOwn = ({ replica, gtids }: Dialect): string =>
  `STOP ${replica} IO_THREAD${gtids === 'sets' ? " FOR CHANNEL ''" : ''}`;

/** Stops one that somebody else made. */
export async function stopOther(
  session: Session,
  { replica, gtids }: Dialect,
  { name, receiver }: OtherChannel,
): Promise<void> {
  if (receiver === 'stopped') return;
  const quoted = quoteLiteral(name);
  const statement =
    gtids === 'sets' ? `STOP ${replica} IO_THREAD FOR CHANNEL ${quoted}` : `STOP ${replica} ${quoted} IO_THREAD`;
  await session.query(statement, [], stopTimeoutMs);
}

/**
 * Stops receiving as `stopReceiver` does, and makes what was received durable: from here on others count on all of it.
 *
 * @throws EngineError `ENGINE_SEAL_UNPROVEN`.
 */
export async function endReceiving(
  instance: Pick<Instance, 'dialect' | 'options'>,
  session: Session,
  silentMs: SilenceMs = null,
): Promise<Channel | null> {
  const channel = await stopReceiver(session, instance.dialect, silentMs);
  await syncReceived(instance, session);
  return channel;
}

function unproven(cause: string, error?: unknown): EngineError {
  const text = `It could not be shown that nothing is received any more: ${cause}. It may still acknowledge writes of the old leader.`;
  return new EngineError('ENGINE_SEAL_UNPROVEN', text, { cause: error });
}
