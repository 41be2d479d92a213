import { monotonicMs, pollUntil } from '@understudy/base';
import type { MemberId } from '@understudy/core';
import { EngineError } from '@understudy/engine';
import { serverErrorOf } from '../errors.ts';
import { ackAccount, acknowledgersIn, isAcknowledger, knownAs } from '../names.ts';
import type { Session } from '../sql/session.ts';

const queryTimeoutMs = 4000;
const goneTimeoutMs = 3000;
/** A login that is under way is given this long to end before it is cut. */
const loginPatienceMs = 100;
const noSuchThread = 1094;

/**
 * Ends every connection of an acknowledger that is not among `members`, whose account must have been locked before, and proves that none
 * is left: from then on the server takes no acknowledgement of theirs.
 *
 * A login that had read the account just before it was locked is among the server's connections by then, as an unknown user: those are
 * waited for too.
 *
 * @throws EngineError `ENGINE_RULE_UNPROVEN`.
 */
export async function cutOthers(session: Session, members: readonly MemberId[]): Promise<void> {
  const allowed = new Set(members.map(ackAccount));
  const beganMs = monotonicMs();
  let logins: ReadonlySet<string> | null = null;
  const gone = await pollUntil(
    async () => {
      const rows = await session.query(
        `SELECT id AS id, user AS user FROM information_schema.processlist WHERE ${acknowledgersIn('user')} OR user = 'unauthenticated user'`,
        [],
        queryTimeoutMs,
      );
      const strangers = new Set(rows.filter((row) => !isAcknowledger(row.user ?? '')).map((row) => row.id ?? ''));
      logins = logins === null ? strangers : logins.intersection(strangers);
      const others = rows
        .filter(({ user }) => isAcknowledger(user ?? '') && !allowed.has(knownAs(user ?? '')))
        .map((row) => row.id ?? '');
      if (others.length === 0 && logins.size === 0) return true;
      const late = monotonicMs() - beganMs > loginPatienceMs ? [...logins] : [];
      for (const id of [...others, ...late]) await kill(session, id);
      return null;
    },
    { everyMs: 2, timeoutMs: goneTimeoutMs },
  );
  if (gone !== null) return;
  const text = `Replicas that must not acknowledge are still connected ${goneTimeoutMs} ms after they were told to go.`;
  throw new EngineError('ENGINE_RULE_UNPROVEN', text);
}

/** Ends a connection; one that has gone meanwhile is as good. */
export async function kill(session: Session, id: string): Promise<void> {
  await session.query(`KILL ${Number(id)}`, [], queryTimeoutMs).catch((error: unknown) => {
    if (serverErrorOf(error) !== noSuchThread) throw error;
  });
}
