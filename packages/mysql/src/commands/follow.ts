import { pollUntil } from '@understudy/base';
import type { Member, MemberId } from '@understudy/core';
import { contains, formatPosition, relation } from '@understudy/core';
import { type ClusterContext, EngineError } from '@understudy/engine';
import type { RunningServer } from '@understudy/engine/host';
import { isLoopback } from '@understudy/engine/host';
import { keepAccounts, limitAllRights } from '../accounts.ts';
import type { Dialect } from '../dialect/dialect.ts';
import { forgetOpened } from '../disk/identity.ts';
import { newestSequence, parseMariadbGtids } from '../gtid/mariadb.ts';
import type { Instance } from '../instance.ts';
import { accounts, knownAs } from '../names.ts';
import { type Channel, type ChannelSecurity, readChannel, readChannels, waitsOnPurpose } from '../observe/channel.ts';
import { pauseAdvice } from '../observe/outside.ts';
import { readPosition } from '../observe/position.ts';
import { isTurnedAway } from '../observe/receiver.ts';
import type { Upstream } from '../observe/upstream.ts';
import type { MysqlOptions } from '../options.ts';
import type { ServerSession } from '../sql/session.ts';
import { changeStatement, delayStatement, startReceiver } from './channel-statements.ts';
import { undoClosing } from './handover.ts';
import { keepClosed } from './keep-closed.ts';
import { keepCounting } from './keep-counting.ts';
import { drained, keepApplying } from './received.ts';
import { endReceiving, stopOther } from './receiver-control.ts';
import { keepSynced, receiveUnsynced, syncReceived } from './relay-sync.ts';

const connectTimeoutMs = 3000;
const queryTimeoutMs = 4000;
/** How long `follow` waits for the applier where a new source can be set only after everything is applied; then it is tried again. */
const drainTimeoutMs = 1000;

/** Less than the above: a receiver that is stopped for a new login is to run again at once. */
const loginPatienceMs = 500;

/** Whom to receive from, and as whom. */
interface Target {
  readonly leader: Member;
  readonly user: string;
  readonly password: string;
  readonly acknowledges: 'yes' | 'no';
  /** How much later to apply. Never while acknowledging: so nothing that is delayed was ever acknowledged. */
  readonly delayS: number;
}

/**
 * Lets the replica receive from `leader`, with its acknowledger's account when it is to acknowledge. Nothing happens when it is so already.
 * Resolves when the server has been told; whether a stream comes about is for `observe`.
 *
 * No relay log is thrown away: where the server would do that, everything is applied first.
 *
 * @throws EngineError `ENGINE_BUSY` when that takes longer than a moment; `ENGINE_INTERNAL` when the applier has stopped with an error.
 */
export async function follow(instance: Instance, leader: MemberId, context: ClusterContext): Promise<void> {
  const member = context.members.get(leader);
  if (member === undefined) {
    const text = `The leader ${leader} is not among the members; its address is unknown.`;
    throw new EngineError('ENGINE_INTERNAL', text, { retry: 'safe' });
  }
  const running = instance.process.running;
  if (running === null) {
    throw new EngineError('ENGINE_UNREACHABLE', `The server is not running, so it cannot follow ${leader}.`);
  }
  if (instance.facts.of(running.pid).role === 'primary') {
    const text = `The server is a primary; it cannot follow ${leader} before it has been stopped.`;
    throw new EngineError('ENGINE_INTERNAL', text);
  }
  await instance.sql.fresh(connectTimeoutMs, (session) =>
    connect(instance, running, session, targetOf(instance, member, context)),
  );
}

function targetOf({ config, options }: Instance, leader: Member, context: ClusterContext): Target {
  const { self, members, acknowledges } = context;
  config.learn(context);
  const shared = { user: accounts.copy, password: options.secrets.replication };
  const login = acknowledges === 'yes' ? config.loginTo(leader.id) : shared;
  const delayMs = acknowledges === 'yes' ? 0 : (members.get(self)?.tags.delayMs ?? 0);
  return { leader, ...login, acknowledges, delayS: Math.ceil(delayMs / 1000) };
}

async function connect(
  instance: Instance,
  running: RunningServer,
  session: ServerSession,
  target: Target,
): Promise<void> {
  const { dialect } = instance;
  const { own: channel, others } = await readChannels(session, dialect, queryTimeoutMs);
  const { id: member, host, port } = target.leader;
  const upstream = { member, acknowledges: target.acknowledges, host, port };
  const isSet = channel !== null && (await semiSyncIs(session, instance, target));
  if (isSet && (isConnected(channel, target, instance) || (await keepsLogin(instance, session, channel, target)))) {
    await upstreamIs(instance, running, upstream);
    await keepClosed(instance, session);
    // Nobody knows what they bring, and a receiver acknowledges to whomever it receives from.
    for (const other of others) await stopOther(session, dialect, other);
    await keepApplying(session, dialect);
    await keepSynced(instance, session, running, target.acknowledges);
    return;
  }
  const known = await instance.upstream.of(running);
  if (known?.member === member && channel === null) noteReset(instance);
  // What is received may be acknowledged, and is not told from what was written here.
  await forgetOpened(instance.options.dataDir, instance.owner);
  const stopped = await endReceiving(instance, session);
  await instance.upstream.clear(running);
  await keepClosed(instance, session);
  const isSame = known?.member === target.leader.id && (channel === null || isSource(channel, target, instance));
  if (!isSame) await requireCompared(instance, session);
  if (stopped === null || !isConfigured(stopped, target, instance)) await configure(instance, session, stopped, target);
  const enabled = target.acknowledges === 'yes' ? 'ON' : 'OFF';
  await session.query(`SET GLOBAL ${dialect.semiSync.replicaEnabled} = ${enabled}`, [], queryTimeoutMs);
  // MariaDB would throw the relay log away when the receiver is started while nothing runs.
  if (stopped !== null) await goOnApplying(instance, session);
  await instance.upstream.set(running, upstream);
  // What waits on purpose has to survive, as a new copy of it would take as long.
  if (target.acknowledges === 'no' && target.delayS === 0) await receiveUnsynced(instance, session, running);
  else await syncReceived(instance, session);
  await session.query(startReceiver(dialect, target.user, target.password), [], queryTimeoutMs);
  if (stopped !== null) await keepDelay(session, dialect, stopped, target);
  await keepApplying(session, dialect);
}

/** MySQL keeps its relay log when the delay is changed while the receiver runs, so it is changed then. MariaDB's is changed with the source, as nothing may run then. */
async function keepDelay(
  session: ServerSession,
  dialect: Dialect,
  channel: Channel,
  { delayS }: Target,
): Promise<void> {
  if (dialect.gtids === 'domains' || channel.delayS === delayS) return;
  await session.query(`STOP ${dialect.replica} SQL_THREAD`, [], queryTimeoutMs);
  await session.query(delayStatement(dialect, delayS), [], queryTimeoutMs);
}

/** Nothing of the agent removes a channel of a replica that goes on. */
function noteReset({ outside }: Instance): void {
  const text = `The channel of this replica was removed from outside (RESET REPLICA): what it had received and not applied is gone here. It is made again.`;
  outside.note('reset', `${text} ${pauseAdvice}`);
}

/**
 * Whether this history belongs to the new leader's was decided on the position seen last. What the old leader sent since then may be the
 * un-acknowledged end of its history: then it is looked at once more, now that nothing can arrive any more.
 */
async function requireCompared(instance: Instance, session: ServerSession): Promise<void> {
  const seen = instance.seen()?.position ?? null;
  const { position } = await readPosition(instance, session);
  if (seen === null || position === null || contains(seen, position)) return;
  const text = `${formatPosition(position)} was received from the old leader since histories were compared (${formatPosition(seen)}).`;
  throw new EngineError('ENGINE_BUSY', `${text} They are compared again.`);
}

async function upstreamIs(instance: Instance, running: RunningServer, wanted: Upstream) {
  const known = await instance.upstream.of(running);
  const isKnown = known?.member === wanted.member && known.acknowledges === wanted.acknowledges;
  if (!isKnown || known.host !== wanted.host || known.port !== wanted.port)
    await instance.upstream.set(running, wanted);
}

/** Beyond this machine the other end is asked for a key only where the configuration says so: it could be anybody's. */
function securityTo({ host }: Member, { tls, plain }: MysqlOptions, { credentials }: Dialect): ChannelSecurity {
  if (tls !== null) return tls.verify;
  return credentials === 'start' && (plain === 'anywhere' || isLoopback(host)) ? 'key' : 'plain';
}

function isSource(channel: Channel, { leader, delayS }: Target, { options, dialect }: Instance): boolean {
  const isThere = channel.host === leader.host && channel.port === leader.port;
  const isLate = dialect.gtids === 'sets' || channel.delayS === delayS;
  return isThere && isLate && channel.security === securityTo(leader, options, dialect) && channel.usesGtids === 'yes';
}

/** Whether the channel leads to the target already; where the login is part of it, as the right user. */
function isConfigured(channel: Channel, target: Target, instance: Instance): boolean {
  return (
    isSource(channel, target, instance) && (instance.dialect.credentials === 'start' || channel.user === target.user)
  );
}

/** Connected, or on the way to it. One that was turned away waits a second by itself, and commits of the leader may wait for it meanwhile. */
function isConnected(channel: Channel, target: Target, instance: Instance): boolean {
  if (channel.receiver === 'stopped' || isTurnedAway(channel)) return false;
  // A member with another delay receives in another way.
  return isSource(channel, target, instance) && channel.user === target.user && channel.delayS === target.delayS;
}

/**
 * Whether the channel streams with another login of this member, and keeps it for now. MariaDB changes a login only when all that was received
 * is applied: a receiver that is stopped for that long acknowledges nothing meanwhile.
 */
async function keepsLogin(
  instance: Instance,
  session: ServerSession,
  channel: Channel,
  target: Target,
): Promise<boolean> {
  const isSame = isSource(channel, target, instance) && channel.delayS === target.delayS;
  const isOwn = knownAs(channel.user) === knownAs(target.user);
  if (instance.dialect.gtids !== 'domains' || channel.receiver !== 'running' || !isSame || !isOwn) return false;
  const { position: held } = await readPosition(instance, session);
  if (held === null) return true;
  const isApplied = async (): Promise<true | null> =>
    contains((await readPosition(instance, session)).applied, held) ? true : null;
  return (await pollUntil(isApplied, { everyMs: 20, timeoutMs: loginPatienceMs })) === null;
}

async function semiSyncIs(session: ServerSession, { dialect }: Instance, { acknowledges }: Target): Promise<boolean> {
  const [row] = await session.query(
    `SELECT @@global.${dialect.semiSync.replicaEnabled} AS enabled`,
    [],
    queryTimeoutMs,
  );
  return (row?.enabled === '1') === (acknowledges === 'yes');
}

/** Points the channel to the target. The receiver is stopped. */
async function configure(
  instance: Instance,
  session: ServerSession,
  channel: Channel | null,
  target: Target,
): Promise<void> {
  const { dialect } = instance;
  const before = await readPosition(instance, session);
  const isLate = dialect.gtids === 'domains' && channel !== null && waitsOnPurpose(channel);
  // MariaDB throws the relay log away with the change, and what waits there on purpose cannot be applied first: the leader sends it again.
  if (isLate) await session.query(`STOP ${dialect.replica}`, [], queryTimeoutMs);
  else if (channel !== null) {
    await goOnApplying(instance, session);
    // MySQL keeps the relay log as long as its applier runs; MariaDB takes changes only while nothing runs, and throws it away then.
    if (dialect.gtids === 'domains') await applyAll(instance, session);
  }
  const tls = instance.options.tls === null ? null : instance.paths.tls;
  const security = securityTo(target.leader, instance.options, dialect);
  if (dialect.gtids === 'domains') await adoptOwnPosition(session);
  const isNew = channel === null;
  await session.query(changeStatement(dialect, { ...target, tls, security, isNew }), [], queryTimeoutMs);
  if (isLate) return;
  const after = await readPosition(instance, session);
  const [held, holds] = [before.position, after.position ?? after.applied];
  if (held === null || ['equal', 'ahead'].includes(relation(holds, held))) return;
  const text = `Changing the source lost received transactions: before ${formatPosition(held)}, after ${formatPosition(holds)}.`;
  throw new EngineError('ENGINE_INTERNAL', text, { next: 'Please report it.' });
}

async function applyAll(instance: Instance, session: ServerSession): Promise<void> {
  const { dialect } = instance;
  const isDone = async (): Promise<boolean> => {
    const { position, applied } = await readPosition(instance, session);
    return position !== null && relation(position, applied) === 'equal';
  };
  if ((await drained(session, dialect, isDone, { timeoutMs: drainTimeoutMs })) === 'late') throw stillApplying();
  await session.query(`STOP ${dialect.replica}`, [], queryTimeoutMs);
}

async function goOnApplying({ dialect }: Instance, session: ServerSession): Promise<void> {
  if ((await keepApplying(session, dialect, { timeoutMs: drainTimeoutMs })) === 'working') throw stillApplying();
}

function stillApplying(): EngineError {
  const text = 'What was received is still being applied; the source can be changed only after that.';
  return new EngineError('ENGINE_BUSY', text);
}

/** MariaDB: what a server wrote as a leader is in its log, but not in the position that its replication begins at. */
async function adoptOwnPosition(session: ServerSession): Promise<void> {
  const [row] = await session.query(
    'SELECT @@global.gtid_binlog_pos AS written, @@global.gtid_slave_pos AS replicated',
    [],
    queryTimeoutMs,
  );
  const newest = (text: string | null | undefined): bigint =>
    newestSequence(parseMariadbGtids(text ?? '') ?? []) ?? -1n;
  if (newest(row?.written) <= newest(row?.replicated)) return;
  await session.query('SET GLOBAL gtid_slave_pos = ?', [row?.written ?? ''], queryTimeoutMs);
}

/** Called every second: connects again where a receiver has given up, or has to use its other account; accounts of new members on a leader. */
export async function keepReplication(instance: Instance, context: ClusterContext): Promise<void> {
  const running = instance.process.running;
  if (running === null) return;
  const role = instance.facts.of(running.pid).role;
  if (role === 'primary') {
    await instance.sql.fresh(connectTimeoutMs, async (session) => {
      await undoClosing(instance, session, running);
      await keepCounting(instance, session);
      await keepAccounts(instance, session, context, instance.acks.wanted(running.pid)?.members ?? null);
      if (instance.facts.rights === 'limited') return;
      await limitAllRights(instance, session);
      instance.facts.of(running.pid).rights = 'limited';
    });
    return;
  }
  const upstream = await instance.upstream.of(running);
  if (upstream === null) {
    await instance.sql.fresh(connectTimeoutMs, async (session) => {
      await keepClosed(instance, session);
      await goOnSealed(instance, session);
    });
    return;
  }
  if (context.members.has(upstream.member)) await follow(instance, upstream.member, context);
}

/**
 * A sealed replica applies the rest. After an error MariaDB could go on only by file position, which makes it forget how far it has received:
 * then the position that it is sealed at is worth more, and a restart of the server tries again.
 */
async function goOnSealed({ dialect }: Instance, session: ServerSession): Promise<void> {
  const channel = await readChannel(session, dialect, queryTimeoutMs);
  if (dialect.gtids === 'domains' && channel !== null && channel.applierError !== null) return;
  await keepApplying(session, dialect);
}
