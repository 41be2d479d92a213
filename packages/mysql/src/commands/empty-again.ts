import { reasonOf } from '@understudy/base';
import { EngineError } from '@understudy/engine';
import type { RunningServer } from '@understudy/engine/host';
import type { Instance } from '../instance.ts';
import { memoryTableNames } from '../observe/emptied.ts';

const connectTimeoutMs = 1000;
const queryTimeoutMs = 2000;
/** Enough to be written to the log: the acknowledgement may come when the others follow. */
const loggedMs = 500;
const atOnce = 8;

/**
 * Logs as its own, on a server that begins to lead, that the tables which its start has emptied are empty. Others may hold rows of them:
 * the next insert of the same key would stop their appliers. Before clients write; the promotion does not depend on it.
 */
export async function emptyAgain(instance: Instance, running: RunningServer): Promise<void> {
  const { sql, emptied, log } = instance;
  try {
    const present = await sql.fresh(connectTimeoutMs, (session) => memoryTableNames(session, queryTimeoutMs));
    const tables = await emptied.among(running, present);
    for (let from = 0; from < tables.length; from += atOnce) {
      await Promise.all(tables.slice(from, from + atOnce).map((table) => truncate(instance, table)));
    }
  } catch (error) {
    log({ level: 'warn', message: `MEMORY tables were not emptied on the replicas (${reasonOf(error)}). ${next}` });
  }
}

const next = 'Run TRUNCATE TABLE for each of them on the leader.';

async function truncate({ sql, dialect, log }: Instance, table: string): Promise<void> {
  const session = await sql.open(connectTimeoutMs);
  try {
    // Readers on a replica may hold it.
    await session.query('SET SESSION lock_wait_timeout = 1', [], queryTimeoutMs);
    await session.query(`TRUNCATE TABLE ${table}`, [], dialect.gtids === 'sets' ? loggedMs : queryTimeoutMs);
  } catch (error) {
    const waits = dialect.gtids === 'sets' && error instanceof EngineError && error.code === 'ENGINE_TIMEOUT';
    if (waits) return;
    log({
      level: 'warn',
      message: `The MEMORY table ${table} was not emptied on the replicas (${reasonOf(error)}). ${next}`,
    });
  } finally {
    await session.end();
  }
}
