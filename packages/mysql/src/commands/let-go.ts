import { pollUntil } from '@understudy/base';
import type { Dialect } from '../dialect/dialect.ts';
import { serverErrorOf } from '../errors.ts';
import type { Session } from '../sql/session.ts';

const queryTimeoutMs = 3000;
const begunTimeoutMs = 500;
/** The source's heartbeats come three times a second: it has missed at least two. */
const silentEnoughMs = 700;

/** The connection whose receiver exists for a moment, and reaches nobody. */
export const letGoConnection = 'understudy_let_go';
const noSuchConnection = 1617;

/** For how long a receiver has heard nothing, in ms; null when that is not known. */
export type SilenceMs = number | null;

/**
 * The byte of an event that a receiver takes for its type while it believes that there is no header, as it is then: the third one of its
 * time, which stays the same for 18 hours. Of an event of type 1 MariaDB 10.11 checks no checksum, by its code the only such type (tried: 1; also that it does of 12 and 15).
 */
const trustedType = 1;
const marginS = 3600;

/** Whether a header that is taken for a part of its event might go unnoticed at this time. @param wallMs since 1970. */
export function isBlindHour(wallMs: number): boolean {
  const seconds = Math.floor(wallMs / 1000);
  return [-marginS, 0, marginS].some((shiftS) => (((seconds + shiftS) >>> 16) & 0xff) === trustedType);
}

/**
 * Lets a receiver of MariaDB that acknowledges end at once although its source is frozen or cut off. When it ends, it logs in at its source
 * once more to end its connection there, and waits a whole second for that at least, in which it cannot be pointed to anybody else. It does
 * not while the server takes it for one that does not acknowledge; and whether receivers acknowledge is one flag of the server, which each
 * sets when it begins. So another one begins, as one that does not, on a connection of its own that leads nowhere.
 *
 * From then on until it ends, the first one takes the header of what it receives for a part of it. Whatever arrives then fails its checksum
 * and ends the receiver: nothing is written and nothing acknowledged. That is why it is done only when nothing has arrived for a while, and
 * never in the hours in which a checksum would not be looked at.
 *
 * Nothing depends on it: when it does not work, the receiver ends a second later. To be called with semi-sync switched off for receivers.
 */
export async function letGoOfSilent(
  session: Session,
  dialect: Dialect,
  silentMs: SilenceMs,
  wallMs = Date.now(),
): Promise<void> {
  if (dialect.semiSync.endTimeout === null || silentMs === null || silentMs < silentEnoughMs) return;
  if (isBlindHour(wallMs)) return;
  const nowhere = "MASTER_HOST = '127.0.0.1', MASTER_PORT = 1, MASTER_USER = 'nobody', MASTER_USE_GTID = no";
  const place = "MASTER_LOG_FILE = 'none.000001', MASTER_LOG_POS = 4";
  try {
    await session.query(`CHANGE MASTER '${letGoConnection}' TO ${nowhere}, ${place}`, [], queryTimeoutMs);
    await session.query(`START SLAVE '${letGoConnection}' IO_THREAD`, [], queryTimeoutMs);
    // It has set the flag before it tries to connect.
    await pollUntil(
      async () => {
        const rows = await session.query(dialect.channelStatus, [], queryTimeoutMs);
        const row = rows.find(({ Connection_name: name }) => name === letGoConnection);
        if (row === undefined) return null;
        return row.Last_IO_Errno !== '0' || row.Slave_IO_State === 'Connecting to master' ? true : null;
      },
      { everyMs: 2, timeoutMs: begunTimeoutMs },
    );
  } catch (error) {
    // A server that refuses a statement still stops its receiver, later; one that does not answer does not.
    if (serverErrorOf(error) === undefined) throw error;
  }
}

/** Removes the connection that leads nowhere, also one that a crash left. */
export async function removeLetGo(session: Session, dialect: Dialect): Promise<void> {
  if (dialect.semiSync.endTimeout === null) return;
  const rows = await session.query(dialect.channelStatus, [], queryTimeoutMs);
  if (!rows.some(({ Connection_name: name }) => name === letGoConnection)) return;
  try {
    await session.query(`STOP SLAVE '${letGoConnection}'`, [], queryTimeoutMs);
    await session.query(`RESET SLAVE '${letGoConnection}' ALL`, [], queryTimeoutMs);
  } catch (error) {
    if (serverErrorOf(error) !== noSuchConnection) throw error;
  }
}
