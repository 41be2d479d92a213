import { setTimeout as delay } from 'node:timers/promises';
import { monotonicMs, pollUntil, reasonOf } from '@understudy/base';
import { type AckRule, formatRule } from '@understudy/core';
import { EngineError } from '@understudy/engine';
import type { Instance } from '../instance.ts';
import { ackAccount, ackPrefix, quoteAccount } from '../names.ts';
import { type AckSample, type Reader, type Stranger, strangersOf } from '../observe/ack-tracker.ts';
import { readPosition } from '../observe/position.ts';
import { sampleAcks } from '../observe/sources.ts';
import type { Session } from '../sql/session.ts';
import { kill } from './readers.ts';

const queryTimeoutMs = 2000;
const connectTimeoutMs = 1000;
const goneTimeoutMs = 1000;
/** Whoever was ended by chance together with the suspect is back by then. */
const secondLookMs = 100;
const allTimeoutMs = 4000;
/** So long, 20 ms apart, nobody came. */
const quietLooks = 5;
const ours = /^us_/;

/**
 * Ends the connections of all who acknowledge and are not named by the rule, one after the other: the server only says how many
 * acknowledge, so that whoever is ended and makes that number smaller was one. As it connects again at once, its account loses
 * REPLICATION SLAVE on this server (not in the log: it is this server that counts). Our own accounts are needed, and only cut.
 *
 * @returns how many are left, where the server can be told to wait for so many more.
 * @throws EngineError `ENGINE_RULE_UNPROVEN` with the names, where it cannot.
 */
export async function endStrangers(instance: Instance, session: Session, rule: AckRule): Promise<number> {
  const endMs = monotonicMs() + allTimeoutMs;
  const tried = new Map<number, string>();
  const pid = instance.process.running?.pid ?? 0;
  while (monotonicMs() < endMs) {
    const seen = await lookAtReaders(instance, session);
    const strangers = strangersOf(seen, rule);
    if (strangers === 0) return 0;
    const next = nextOf(seen, rule, tried, (user) => instance.spared.why(pid, user) !== null);
    if (next === null) break;
    const attempt = [...tried.values()].includes(next.user) ? 'again' : 'first';
    tried.set(next.id, next.user);
    await endOne(instance, session, rule, { ...next, strangers, attempt });
  }
  const sample = await lookAtReaders(instance, session);
  const left = candidatesOf(sample, rule);
  const count = strangersOf(sample, rule);
  if (count === 0) return 0;
  if (instance.dialect.semiSync.required !== null) {
    const suspect = left.find(({ user }) => instance.spared.why(pid, user) !== 'harmless');
    if (suspect !== undefined) instance.acks.caught(pid, { user: suspect.user, host: '', right: 'kept' });
    return count;
  }
  const names = [...new Set(left.map(({ user }) => `"${user}"`))].join(', ');
  const text = `Somebody whom "${formatRule(rule)}" does not name acknowledges commits of this server; it receives the log as one of ${names}.`;
  throw new EngineError('ENGINE_RULE_UNPROVEN', text, { next: 'Switch semi-synchronous replication off there.' });
}

async function lookAtReaders(instance: Instance, session: Session): Promise<AckSample> {
  return sampleAcks(session, instance.dialect, (await readPosition(instance, session)).applied);
}

/** An account that comes back as often as this lets others have their turn. */
const turns = 2;

/** Whom to end next. @param tried connections that were ended in this go, with their accounts. */
export function nextOf(
  sample: Pick<AckSample, 'connections'>,
  rule: AckRule,
  tried: ReadonlyMap<number, string>,
  isSpared: (user: string) => boolean,
): Reader | null {
  const left = candidatesOf(sample, rule).filter(({ id, user }) => !tried.has(id) && !isSpared(user));
  const had = (user: string): number => [...tried.values()].filter((one) => one === user).length;
  return left.find(({ user }) => had(user) < turns) ?? left[0] ?? null;
}

/**
 * Who may be the stranger. First whoever uses an account of the rule twice, as a host that was replaced and whose connection is still there:
 * nobody else is to pay for that. Then other people's accounts, then ours.
 */
function candidatesOf(sample: Pick<AckSample, 'connections'>, rule: AckRule): readonly Reader[] {
  const named = new Set(rule.members.map(ackAccount));
  const newest = new Map<string, number>();
  for (const { user, id } of sample.connections) newest.set(user, Math.max(id, newest.get(user) ?? id));
  // Of an account of the rule that is used twice, nobody can say whose connection is the member's own: the newer one stays.
  const candidates = sample.connections.filter(({ user, id }) => !named.has(user) || newest.get(user) !== id);
  const rank = ({ user }: Reader): number => (named.has(user) ? 0 : ours.test(user) ? 2 : 1);
  return candidates.toSorted((a, b) => rank(a) - rank(b) || b.id - a.id);
}

async function hostOf(session: Session, id: number): Promise<string> {
  const query = 'SELECT host AS host FROM information_schema.processlist WHERE id = ?';
  const [row] = await session.query(query, [id], queryTimeoutMs);
  return (row?.host ?? '').replace(/:\d+$/, '');
}

async function endConnection(session: Session, id: number): Promise<void> {
  await kill(session, String(id));
  const query = 'SELECT 1 AS one FROM information_schema.processlist WHERE id = ?';
  const isGone = async (): Promise<true | null> =>
    (await session.query(query, [id], queryTimeoutMs)).length === 0 ? true : null;
  await pollUntil(isGone, { everyMs: 2, timeoutMs: goneTimeoutMs });
}

/** Somebody who may be the stranger: how many there were when he was seen, and which attempt with this account it is. */
interface Suspect extends Reader {
  readonly strangers: number;
  readonly attempt: 'first' | 'again';
}

/** Whoever comes back faster than can be counted loses his right before he is ended, and gets it back unless he was the stranger. */
async function endOne(instance: Instance, session: Session, rule: AckRule, suspect: Suspect): Promise<void> {
  const { id, user, attempt } = suspect;
  const host = await hostOf(session, id);
  const isOurs = ours.test(user);
  const taken = attempt === 'again' && !isOurs ? await takeRight(instance, session, user) : null;
  let who: 'stranger' | 'somebody' = 'somebody';
  try {
    await endConnection(session, id);
    who = await whoWas(instance, session, rule, suspect, taken);
  } finally {
    if (who !== 'stranger') await taken?.giveBack();
  }
  if (who !== 'stranger') return;
  const lost = isOurs ? null : (taken ?? (await takeRight(instance, session, user)));
  // One that had logged in before still has the right.
  if (lost !== null) await keepOut(session, user);
  const found = { user, host, right: lost === null || lost.from === 0 ? 'kept' : 'taken' } as const;
  const running = instance.process.running;
  if (running !== null) instance.acks.caught(running.pid, found);
  instance.log({
    level: 'warn',
    message: strangerWarning(found),
    fields: { rule: formatRule(rule), connection: id },
  });
}

/** Whether fewer acknowledge without him, and still do a moment later: somebody else may have gone just then, and come back. */
async function whoWas(
  instance: Instance,
  session: Session,
  rule: AckRule,
  { user, strangers }: Suspect,
  taken: Taken | null,
): Promise<'stranger' | 'somebody'> {
  const pid = instance.process.running?.pid ?? 0;
  const isBack = ({ connections }: AckSample): boolean => connections.some((one) => one.user === user);
  const isFewer = (sample: AckSample): boolean => strangersOf(sample, rule) < strangers;
  const first = await lookAtReaders(instance, session);
  if (isFewer(first) || !isBack(first)) {
    await delay(secondLookMs);
    const second = await lookAtReaders(instance, session);
    if (isFewer(second)) return 'stranger';
    if (!isFewer(first) && !isBack(second) && !ours.test(user)) instance.spared.note(pid, user, 'harmless');
  } else if (taken?.from === 0) instance.spared.note(pid, user, 'stays');
  return 'somebody';
}

/** Ends what connects as `user` and receives the log, until nothing has come for a moment. */
async function keepOut(session: Session, user: string): Promise<void> {
  let quiet = 0;
  const query = "SELECT id AS id FROM information_schema.processlist WHERE user = ? AND command LIKE 'Binlog Dump%'";
  await pollUntil(
    async () => {
      const rows = await session.query(query, [user], queryTimeoutMs);
      for (const { id } of rows) await kill(session, id ?? '');
      quiet = rows.length === 0 ? quiet + 1 : 0;
      return quiet >= quietLooks ? true : null;
    },
    { everyMs: 20, timeoutMs: goneTimeoutMs },
  );
}

/** What people are told. */
export function strangerWarning({ user, host, right }: Stranger): string {
  const what = `A replica of somebody else acknowledged commits of this server, as "${user}" from ${host || 'this host'}; its connection was ended`;
  if (right === 'taken') {
    return `${what}, and REPLICATION SLAVE was revoked from "${user}" on this server. Switch semi-synchronous replication off there, then run GRANT REPLICATION SLAVE ON *.* TO the account.`;
  }
  const next = user.startsWith(ackPrefix)
    ? 'That account is for one member only: find out who has its password, and change it.'
    : 'Switch semi-synchronous replication off there.';
  return `${what}. ${next}`;
}

interface Taken {
  /** How many accounts of that name had it by themselves. None: it comes by a role, or could not be taken. */
  readonly from: number;
  /** Never throws. */
  readonly giveBack: () => Promise<void>;
}

/** Takes the right to receive the log from every account of that name, in this server alone. */
async function takeRight({ log, sql }: Instance, session: Session, user: string): Promise<Taken> {
  const taken: string[] = [];
  try {
    for (const { host } of await session.query(holdersQuery, [user], queryTimeoutMs)) {
      await changeRight(session, 'REVOKE', user, [host ?? '']);
      taken.push(host ?? '');
    }
  } catch (error) {
    const message = 'the right to receive the log could not be taken from an account';
    log({ level: 'warn', message, fields: { user, reason: reasonOf(error) } });
  }
  const giveBack = async (): Promise<void> => {
    if (taken.length === 0) return;
    // What went wrong meanwhile may have been this session.
    await sql
      .fresh(connectTimeoutMs, (other) => changeRight(other, 'GRANT', user, taken))
      .catch((error: unknown) => {
        const message =
          'the right to receive the log could not be given back: run GRANT REPLICATION SLAVE ON *.* TO the account';
        log({ level: 'warn', message, fields: { user, reason: reasonOf(error) } });
      });
  };
  return { from: taken.length, giveBack };
}

async function changeRight(
  session: Session,
  statement: 'REVOKE' | 'GRANT',
  user: string,
  hosts: readonly string[],
): Promise<void> {
  await session.query('SET SESSION sql_log_bin = 0', [], queryTimeoutMs);
  try {
    for (const host of hosts) {
      const word = statement === 'REVOKE' ? 'FROM' : 'TO';
      await session.query(
        `${statement} REPLICATION SLAVE ON *.* ${word} ${quoteAccount(user, host)}`,
        [],
        queryTimeoutMs,
      );
    }
  } finally {
    await session.query('SET SESSION sql_log_bin = 1', [], queryTimeoutMs);
  }
}

const holdersQuery = "SELECT Host AS host FROM mysql.user WHERE User = ? AND Repl_slave_priv = 'Y'";

/** Whether an account of that name may receive the log (again). */
export async function hasRight(session: Session, user: string): Promise<boolean> {
  return (await session.query(holdersQuery, [user], queryTimeoutMs)).length > 0;
}
