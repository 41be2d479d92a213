import { reasonOf } from '@understudy/base';
import { EngineError } from '@understudy/engine';
import { isOpen } from '../dialect/dialect.ts';
import type { Instance } from '../instance.ts';
import { pauseAdvice } from '../observe/outside.ts';
import type { ServerSession } from '../sql/session.ts';
import { close } from './handover.ts';
import { fence } from './stop.ts';

const queryTimeoutMs = 2000;
/** A commit that waits for acknowledgements keeps a server from being closed: on one that does not lead it may wait for ever. */
const closeTimeoutMs = 1000;

/**
 * Keeps a replica closed, as it was started: to privileged sessions too where the product can, without events, and without waiting for
 * acknowledgements in its own log, which would stop its applier. What differs was changed from outside, or was left by an opening that did
 * not come to its end; it is named and set back.
 *
 * A commit of a client that waits there is acknowledged to nobody: its server is ended, and starts again closed.
 *
 * @throws EngineError `ENGINE_BUSY` after that.
 */
export async function keepClosed(instance: Instance, session: ServerSession): Promise<void> {
  const { dialect, outside, facts } = instance;
  if (facts.opening === 'yes') return;
  const { sourceEnabled } = dialect.semiSync;
  const isFull = dialect.admitPrivileged !== null;
  const [row] = await session.query(
    `SELECT @@global.read_only AS closed, ${isFull ? '@@global.super_read_only' : '1'} AS fully,
      @@global.${sourceEnabled} AS source, @@global.event_scheduler AS events`,
    [],
    queryTimeoutMs,
  );
  // Who is open is no replica: that is the observer's and the protocol's to say.
  if (row === undefined || isOpen(row.closed ?? '')) return;
  if (row.events === 'ON') {
    outside.note('events', told('event_scheduler was ON on a replica, whose events would write beside its leader'));
    await session.query('SET GLOBAL event_scheduler = OFF', [], queryTimeoutMs);
  }
  const source = row.source === '1';
  if (row.fully === '1' && !source) return;
  if (row.fully !== '1') outside.note('fully', told('super_read_only was OFF on a replica'));
  if (source)
    outside.note('source', told(`${sourceEnabled} was ON on a replica, whose applier waits for acknowledgements then`));
  if (await isHeldByClient(session)) return endHeld(instance, 'a commit of a client waits for acknowledgements there');
  if (isFull) {
    await close(instance, closeTimeoutMs).catch((error: unknown) => endHeld(instance, reasonOf(error)));
  }
  // Nobody can commit any more, so nobody is told of a commit that waited.
  await session.query(`SET GLOBAL ${sourceEnabled} = OFF`, [], queryTimeoutMs);
}

const told = (what: string): string => `${what}. It was changed from outside, and is set back. ${pauseAdvice}`;

async function isHeldByClient(session: ServerSession): Promise<boolean> {
  const rows = await session.query(
    "SELECT id AS id FROM information_schema.processlist WHERE state LIKE 'Waiting for semi-sync ACK%' AND user <> 'system user'",
    [],
    queryTimeoutMs,
  );
  return rows.length > 0;
}

async function endHeld(instance: Instance, why: string): Promise<never> {
  await fence(instance);
  const text = `The server could not be closed: ${why}. It was ended, and starts again closed.`;
  instance.outside.note('held', `${text} ${pauseAdvice}`);
  throw new EngineError('ENGINE_BUSY', text);
}
