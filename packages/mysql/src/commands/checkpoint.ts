import type { Instance } from '../instance.ts';

const timeoutMs = 60_000;

/**
 * Begins a new file of the binary log and makes what the server has in memory durable, so that a following stop or recovery has
 * less to do.
 *
 * @throws EngineError `ENGINE_UNREACHABLE`, `ENGINE_TIMEOUT`.
 */
export async function checkpoint(instance: Instance, signal: AbortSignal): Promise<void> {
  signal.throwIfAborted();
  // Not replicated: every member has files of its own.
  await instance.sql.fresh(timeoutMs, async (session) => {
    await session.query('flush no_write_to_binlog engine logs', [], timeoutMs);
  });
}
