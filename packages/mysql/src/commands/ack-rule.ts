import { pollUntil, reasonOf } from '@understudy/base';
import { type AckRule, formatRule, type GtidPosition, gtidUnion, type MemberId, sameRule } from '@understudy/core';
import { type ClusterContext, EngineError } from '@understudy/engine';
import type { RunningServer } from '@understudy/engine/host';
import { setAcknowledgers } from '../accounts.ts';
import type { Instance } from '../instance.ts';
import { ackAccount, knownAs } from '../names.ts';
import { nobodySuffices } from '../observe/ack-count.ts';
import { countsBy } from '../observe/ack-tracker.ts';
import { readPosition } from '../observe/position.ts';
import { sampleAcks } from '../observe/sources.ts';
import type { ServerSession } from '../sql/session.ts';
import { cutOthers } from './readers.ts';
import { endStrangers } from './strangers.ts';

const connectTimeoutMs = 3000;
const queryTimeoutMs = 4000;
/** How long acknowledgers are waited for before commits wait for them; a replica asks again every second. */
const admissionMs = 1500;
const connectedReaders = "SELECT user AS user FROM information_schema.processlist WHERE command LIKE 'Binlog Dump%'";

/**
 * Makes the running primary count acknowledgements by `rule`, and proves that it does.
 *
 * Who counts is decided here alone: the accounts of everybody else are locked and their connections ended, whatever those replicas do.
 * How many are needed is a variable, which the server applies at once, to waiting commits too.
 *
 * @throws EngineError `ENGINE_RULE_UNPROVEN`: the rule in force is then unknown (the stricter of old and new must be assumed).
 */
export async function setAckRule(instance: Instance, rule: AckRule, _context: ClusterContext): Promise<void> {
  const running = instance.process.running;
  const state = await instance.observe();
  if (running === null || state.kind !== 'primary')
    throw unproven(`the server is not a running primary (it is ${state.kind})`);
  if (state.acks.running !== null && sameRule(state.acks.running, rule)) return;
  requireCountable(instance, rule);
  instance.acks.forget({ pid: running.pid, rule });
  try {
    await instance.sql.fresh(connectTimeoutMs, async (session) => {
      // A statement about accounts that waits for those who are to be cut off now would keep us from locking them, for ever. The record
      // says already that nobody has to acknowledge.
      if (rule.required === 0) await count(instance, session, 0);
      await limitAcknowledgers(instance, session, rule.members);
      const strangers = await endStrangers(instance, session, rule);
      await admitAcknowledgers(instance, session, rule);
      await count(instance, session, rule.required, strangers);
      await proveRule(instance, session, running, rule, strangers);
    });
  } catch (error) {
    throw error instanceof EngineError && error.code === 'ENGINE_RULE_UNPROVEN'
      ? error
      : unproven(reasonOf(error), error);
  }
}

function unproven(cause: string, error?: unknown): EngineError {
  const text = `It could not be shown by which rule the server counts: ${cause}. It is tried again.`;
  return new EngineError('ENGINE_RULE_UNPROVEN', text, { cause: error });
}

/** @throws EngineError `ENGINE_RULE_UNPROVEN` when the server cannot wait for that many. */
export function requireCountable({ dialect }: Pick<Instance, 'dialect'>, rule: AckRule): void {
  const { requiredAcksMax } = dialect;
  if (requiredAcksMax === null || rule.required <= requiredAcksMax) return;
  const text = `The rule "${formatRule(rule)}" asks for more acknowledgements than this server can wait for (${requiredAcksMax}).`;
  throw new EngineError('ENGINE_RULE_UNPROVEN', text, {
    retry: 'unsafe',
    next: `Set requiredAcks to ${requiredAcksMax}.`,
  });
}

/** Nobody but `members` can acknowledge any more. */
async function limitAcknowledgers(
  instance: Instance,
  session: ServerSession,
  members: readonly MemberId[],
): Promise<void> {
  await setAcknowledgers(instance, session, members, 'lock');
  await cutOthers(session, members);
}

/**
 * Lets those in who are to count, before commits wait for them: a statement about accounts that waits for its acknowledgement keeps
 * everybody from logging in, also the replica that should send it. That they may acknowledge a moment early does no harm: the record
 * names both rules meanwhile.
 */
async function admitAcknowledgers(instance: Instance, session: ServerSession, rule: AckRule): Promise<void> {
  await setAcknowledgers(instance, session, rule.members, 'unlock');
  const wanted = new Set(rule.members.map(ackAccount));
  const areThere = async (): Promise<true | null> => {
    const rows = await session.query(connectedReaders, [], queryTimeoutMs);
    const there = new Set(rows.map(({ user }) => knownAs(user ?? '')).filter((user) => wanted.has(user)));
    return there.size >= rule.required ? true : null;
  };
  await pollUntil(areThere, { everyMs: 20, timeoutMs: admissionMs });
}

/** Commits wait for that many; for none when it is 0. @param strangers who acknowledge too: each takes a place of his own. */
export async function count(
  { dialect: { semiSync } }: Instance,
  session: ServerSession,
  required: number,
  strangers = 0,
): Promise<void> {
  if (required > 0 && semiSync.required !== null) {
    await session.query(`SET GLOBAL ${semiSync.required} = ${required + strangers}`, [], queryTimeoutMs);
  }
  await session.query(`SET GLOBAL ${semiSync.sourceEnabled} = ${required > 0 ? 'ON' : 'OFF'}`, [], queryTimeoutMs);
}

/**
 * Installs the rule of a server that opens. Where accounts can be changed only after privileged sessions have been let in, their commits
 * wait from the beginning: for more replicas than there are, until it is settled whose acknowledgements count.
 */
export async function installRule(instance: Instance, session: ServerSession, rule: AckRule): Promise<void> {
  const { admitPrivileged } = instance.dialect;
  if (admitPrivileged !== null) {
    await count(instance, session, rule.required > 0 ? nobodySuffices : 0);
    await session.query(admitPrivileged, [], queryTimeoutMs);
  }
  await limitAcknowledgers(instance, session, rule.members);
  // Whoever cannot be ended now is dealt with by the next looks: an opening does not fail over him.
  const strangers = await endStrangers(instance, session, rule).catch(() => 0);
  await count(instance, session, rule.required, strangers);
  await setAcknowledgers(instance, session, rule.members, 'unlock');
}

/** Looks at everything that decides who counts, and notes what may have been acknowledged before: all that is written by now. */
export async function proveRule(
  instance: Instance,
  session: ServerSession,
  running: RunningServer,
  rule: AckRule,
  strangers = 0,
): Promise<void> {
  const before = await readPosition(instance, session);
  const sample = await sampleAcks(session, instance.dialect, before.applied);
  if (!countsBy(sample, rule)) {
    const readers = sample.readers.join(', ') || 'nobody';
    const shown = `enabled ${sample.enabled}, status ${sample.status}, required ${sample.required}, ${sample.waitPoint}; connected: ${readers}`;
    throw unproven(`it should be "${formatRule(rule)}", but the server shows ${shown}`);
  }
  // Read after what is in flight: nothing falls between the two.
  const { applied } = await readPosition(instance, session);
  const barrier: GtidPosition = { ...applied, set: gtidUnion(applied.set, sample.inFlight) };
  instance.acks.prove(running.pid, rule, barrier, strangers);
}
