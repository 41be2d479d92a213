import type { Instance } from '../instance.ts';
import { pauseAdvice } from '../observe/outside.ts';
import type { Row, Session } from '../sql/session.ts';

const queryTimeoutMs = 2000;
/** Commits wait for ever: a server that gives up waiting acknowledges alone. The most that the variable takes. */
const waitMs = '4294967295';

type Parts = Pick<Instance, 'dialect' | 'outside' | 'acks'>;

/** How a leader is told to count, as it stands. */
async function readCounting({ dialect: { semiSync } }: Parts, session: Session): Promise<Row | undefined> {
  const [row] = await session.query(
    `SELECT @@global.${semiSync.sourceEnabled} AS source, @@global.${semiSync.timeout} AS timeout,
      @@global.${semiSync.waitNoReplica} AS alone, @@global.${semiSync.waitPoint} AS point, @@global.event_scheduler AS events,
      ${semiSync.required === null ? '1' : `@@global.${semiSync.required}`} AS required`,
    [],
    queryTimeoutMs,
  );
  return row;
}

/** What differs from `rule`, by the names of the variables. */
function changes({ dialect: { semiSync }, acks }: Parts, row: Row | undefined): readonly string[] {
  const { rule } = acks;
  // Nothing is proven yet, or it is being changed.
  if (row === undefined || rule === null) return [];
  const found: string[] = [];
  if ((row.source === '1') !== rule.required > 0) found.push(`${semiSync.sourceEnabled} = ${row.source}`);
  if (rule.required === 0) return found;
  if (row.timeout !== waitMs) found.push(`${semiSync.timeout} = ${row.timeout}`);
  if (row.alone !== '1') found.push(`${semiSync.waitNoReplica} = ${row.alone}`);
  if (row.point !== 'AFTER_SYNC') found.push(`${semiSync.waitPoint} = ${row.point}`);
  // More is our own doing (`observe/ack-count.ts`).
  if (Number(row.required) < rule.required) found.push(`${semiSync.required} = ${row.required}`);
  return found;
}

/** Tells people by which variables somebody else changed how a leader counts. What counts wrongly is proven anew by the protocol. */
export async function noteCounting(parts: Parts, session: Session): Promise<void> {
  for (const change of changes(parts, await readCounting(parts, session))) {
    const text = `${change} was set from outside on the leader, so that commits may be acknowledged that too few replicas hold. It is set back.`;
    parts.outside.note(change.replace(/ = .*/, ''), `${text} ${pauseAdvice}`);
  }
}

/** Called every second on a leader: what makes a server give up waiting shows in its figures only when it has. */
export async function keepCounting(parts: Parts, session: Session): Promise<void> {
  const { semiSync } = parts.dialect;
  const row = await readCounting(parts, session);
  if (row === undefined) return;
  if (changes(parts, row).length > 0) await noteCounting(parts, session);
  if (row.events === 'OFF') {
    const text =
      'event_scheduler was switched OFF from outside on the leader: no events run. Run SET GLOBAL event_scheduler = ON.';
    parts.outside.note('events', text);
  }
  if (row.timeout !== waitMs) await session.query(`SET GLOBAL ${semiSync.timeout} = ${waitMs}`, [], queryTimeoutMs);
  if (row.alone !== '1') await session.query(`SET GLOBAL ${semiSync.waitNoReplica} = ON`, [], queryTimeoutMs);
  if (row.point !== 'AFTER_SYNC') {
    await session.query(`SET GLOBAL ${semiSync.waitPoint} = 'AFTER_SYNC'`, [], queryTimeoutMs);
  }
}
