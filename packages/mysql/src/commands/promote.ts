import { reasonOf } from '@understudy/base';
import type { EngineCommand } from '@understudy/core';
import { relation } from '@understudy/core';
import { type ClusterContext, EngineError } from '@understudy/engine';
import type { RunningServer } from '@understudy/engine/host';
import { preparedTransactions, preparedWarning } from '../checks/prepared.ts';
import { changeIdentity, forgetOpened } from '../disk/identity.ts';
import { sequenceOf } from '../gtid/mariadb.ts';
import type { Instance } from '../instance.ts';
import { requireNewLine, writeMarker } from '../lines.ts';
import { type Reading, readPosition } from '../observe/position.ts';
import type { ServerSession } from '../sql/session.ts';
import { installRule, proveRule, requireCountable } from './ack-rule.ts';
import { emptyAgain } from './empty-again.ts';
import { drained, keepApplying } from './received.ts';
import { endReceiving } from './receiver-control.ts';
import { fence } from './stop.ts';

type Promote = Extract<EngineCommand, { kind: 'promote' }>;

const connectTimeoutMs = 3000;
const queryTimeoutMs = 4000;
/** Opening waits until everything received is applied; how long that takes depends on the backlog. */
const drainTimeoutMs = 3600_000;

/**
 * Opens a fenced replica for writes on the history line `timeline`, with the acknowledgement rule in force before the first write comes.
 * Everything that it has received is applied first.
 *
 * @throws EngineError `ENGINE_DECISION_STALE` when `notAfter` passed before the line was begun; `ENGINE_PROMOTE_FAILED`.
 */
export async function promote(instance: Instance, command: Promote, _context: ClusterContext): Promise<void> {
  const running = instance.process.running;
  if (running === null) throw failed('the server is not running', 'safe');
  requireCountable(instance, command.rule);
  await instance.sql.fresh(connectTimeoutMs, async (session) => {
    const before = await readPosition(instance, session);
    if (await isOpen(session)) {
      requireSameLine(before, command);
      return;
    }
    if (before.position === null) throw failed('what the server holds is not known yet', 'safe');
    requireNewLine(before.position.timelines, command.timeline);
    requireFresh(instance, command);
    instance.acks.forget();
    await applyEverything(instance, session, running);
    // An old record could let the new line's marker be cut off, and the line be begun a second time.
    await forgetOpened(instance.options.dataDir, instance.owner);
    await beginLine(instance, session, command);
    // MySQL's is closed even to us.
    if (instance.dialect.admitPrivileged === null) await emptyAgain(instance, running);
    await open(instance, session, running, command);
    await tellPrepared(instance, session);
  });
}

function failed(cause: string, retry: EngineError['retry'], error?: unknown): EngineError {
  return new EngineError('ENGINE_PROMOTE_FAILED', `The promotion did not happen: ${cause}.`, { retry, cause: error });
}

async function isOpen(session: ServerSession): Promise<boolean> {
  const [row] = await session.query('SELECT @@global.read_only AS fenced', [], queryTimeoutMs);
  return row?.fenced === '0' || row?.fenced === 'OFF';
}

function requireSameLine({ applied }: Reading, { timeline }: Promote): void {
  if (applied.timelines.at(-1) === timeline) return;
  throw failed(`the server is a primary on line ${applied.timelines.at(-1)} already, not on ${timeline}`, 'unsafe');
}

function requireFresh(instance: Instance, { notAfter }: Promote): void {
  if (instance.clockMs() <= notAfter) return;
  throw new EngineError('ENGINE_DECISION_STALE', 'The decision to promote is too old; nothing was opened.');
}

/** Only then may the channel go, and its relay log with it. */
async function applyEverything(instance: Instance, session: ServerSession, running: RunningServer): Promise<void> {
  const { dialect } = instance;
  const channel = await endReceiving(instance, session);
  await instance.upstream.clear(running);
  if (channel === null) return;
  await keepApplying(session, dialect, { timeoutMs: drainTimeoutMs });
  const isDone = async (): Promise<boolean> => holdsNothingUnapplied(await readPosition(instance, session));
  const result = await drained(session, dialect, isDone, { timeoutMs: drainTimeoutMs });
  if (result === 'late') throw failed(`what it received was not applied after ${drainTimeoutMs / 1000} s`, 'unknown');
  await session.query(`STOP ${dialect.replica}`, [], queryTimeoutMs);
  if (!holdsNothingUnapplied(await readPosition(instance, session)) && dialect.gtids === 'sets') {
    throw failed('something arrived after its stream was cut', 'safe');
  }
  await session.query(`RESET ${dialect.replica} ALL`, [], queryTimeoutMs);
}

function holdsNothingUnapplied({ position, applied }: Reading): boolean {
  return position !== null && relation(position, applied) === 'equal';
}

/** The point of no return: a line that was begun is never begun again, here or elsewhere. */
async function beginLine(instance: Instance, session: ServerSession, command: Promote): Promise<void> {
  const { applied } = await readPosition(instance, session);
  const cluster = await instance.systemId();
  const previous = instance.dialect.gtids === 'domains' ? sequenceOf(applied.set, applied.timelines) : null;
  requireFresh(instance, command);
  try {
    await writeMarker(session, instance.dialect, { timeline: command.timeline, cluster, previous });
  } catch (error) {
    throw failed(`line ${command.timeline} could not be begun (${reasonOf(error)})`, 'unsafe', error);
  }
  const after = await readPosition(instance, session);
  if (after.applied.timelines.at(-1) === command.timeline) return;
  throw failed(`the server is on line ${after.applied.timelines.at(-1)} instead of ${command.timeline}`, 'unsafe');
}

async function open(
  instance: Instance,
  session: ServerSession,
  running: RunningServer,
  command: Promote,
): Promise<void> {
  const facts = instance.facts.of(running.pid);
  facts.opening = 'yes';
  try {
    await Promise.all([noteOpening(instance, running, command), putRuleInForce(instance, session, running, command)]);
    await instance.opened.set(running, 'opening');
    if (instance.dialect.admitPrivileged !== null) await emptyAgain(instance, running);
    await session.query('SET GLOBAL read_only = OFF', [], queryTimeoutMs);
    await instance.opened.set(running, 'open');
    await session.query('SET GLOBAL event_scheduler = ON', [], queryTimeoutMs);
  } catch (error) {
    instance.acks.forget();
    // It may be open, and commits may wait in it: closed by statements it would tell their clients that they were acknowledged.
    await fence(instance);
    throw failed(`it could not be opened (${reasonOf(error)})`, 'unknown', error);
  } finally {
    facts.opening = 'no';
  }
  facts.role = 'primary';
}

async function putRuleInForce(
  instance: Instance,
  session: ServerSession,
  running: RunningServer,
  { rule }: Promote,
): Promise<void> {
  await installRule(instance, session, rule);
  await proveRule(instance, session, running, rule);
}

/**
 * Before the first write: later, the note of an earlier leadership would stand for this one. And after the marker, which has made durable
 * in the tables whatever came before it: what a recovery may cut off begins there (`tail/cut.ts`). Only MariaDB's has that choice.
 */
async function noteOpening(instance: Instance, running: RunningServer, { epoch }: Promote): Promise<void> {
  const { dialect, options, owner } = instance;
  if (dialect.gtids !== 'domains') return;
  await changeIdentity(options.dataDir, owner, (identity) => {
    // A server that was started meanwhile may write under another number.
    if (instance.process.running?.pid !== running.pid) return null;
    return { ...identity, opened: { epoch, writer: identity.writer } };
  });
}

/** The coordinators of prepared transactions may have lost their connection with the old leader. They are told of, and left alone. */
async function tellPrepared({ dialect, log }: Instance, session: ServerSession): Promise<void> {
  // The server is open: a failure here must not look like one of the promotion.
  const ids = await preparedTransactions(session, dialect).catch(() => []);
  const message = preparedWarning(ids);
  if (message !== null) log({ level: 'warn', message, fields: { prepared: ids.length } });
}
