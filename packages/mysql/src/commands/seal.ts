import { EngineError } from '@understudy/engine';
import type { Instance } from '../instance.ts';
import { keepClosed } from './keep-closed.ts';
import type { SilenceMs } from './let-go.ts';
import { keepApplying } from './received.ts';
import { endReceiving } from './receiver-control.ts';

const connectTimeoutMs = 3000;

/**
 * Cuts the stream from the upstream and proves that nothing is received, and so nothing acknowledged, any more. The applier goes on, so
 * that the node is ready sooner. It stays cut: a start never starts replication, and only `follow` does.
 *
 * @throws EngineError `ENGINE_SEAL_UNPROVEN`; the attempt must then be given up.
 */
export async function seal(instance: Instance): Promise<void> {
  instance.acks.forget();
  const { process: server, facts, dialect, upstream } = instance;
  const running = server.running;
  // A stopped server receives nothing, and every start is sealed.
  if (running === null) return;
  if (facts.of(running.pid).answered === 'never') {
    throw new EngineError('ENGINE_SEAL_UNPROVEN', 'The server is still starting; it cannot be asked yet.');
  }
  const silentMs = silenceOf(instance);
  await instance.sql.fresh(connectTimeoutMs, async (session) => {
    const channel = await endReceiving(instance, session, silentMs);
    await keepClosed(instance, session);
    await upstream.clear(running);
    // Only where both threads are stopped this may take long; `maintain` does it then.
    if (channel?.applier === 'stopped' && dialect.gtids === 'sets') await keepApplying(session, dialect);
  });
}

/** As of the last look. */
function silenceOf({ seen }: Instance): SilenceMs {
  const receiver = seen()?.receiver;
  return receiver?.kind === 'streaming' ? receiver.silentMs : null;
}
