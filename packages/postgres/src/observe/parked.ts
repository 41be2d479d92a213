import { limitParameters, readControlFile } from '../disk/control-file.ts';
import type { PgSession } from '../sql/session.ts';

const queryTimeoutMs = 500;

/**
 * Why a paused recovery goes on only after a restart: the log says that the primary has a larger limit than this server was started with.
 * The next start takes at least that. Null when somebody paused it.
 */
export async function parkedBy(session: PgSession, dataDir: string): Promise<string | null> {
  const { limits } = await readControlFile(dataDir);
  const list = limitParameters.map((name) => `current_setting('${name}') as ${name}`).join(', ');
  const row = await session.row(`select ${list}`, queryTimeoutMs);
  const short = limitParameters.filter((name) => Number(row[name] ?? limits[name]) < limits[name]);
  if (short.length === 0) return null;
  const text = short.map((name) => `${name} is ${row[name]} here and was ${limits[name]} on the primary`).join(', ');
  return `its recovery stands still until it is started again, as ${text}`;
}
