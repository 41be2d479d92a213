import { ALONE, type Epoch, type SystemId } from '@understudy/core';
import { branchAt, commonEnd, forkBranch, rootBranch } from '../wal/branch.ts';
import { release } from './acks.ts';
import { copyEnd } from './received.ts';
import { answerWaiting, commitWritten } from './semi-sync.ts';
import type { SimServer, Stream } from './server.ts';
import { connectLater, endReceiver, endSender, noteQuiet, pump } from './stream.ts';

const CHECKPOINT_BYTES = 120;
const HANDOVER_POLL_MS = 20;

/** Makes a new, empty database in an empty directory. */
export function initialize(server: SimServer, systemId: SystemId): void {
  server.disk = 'data';
  server.systemId = systemId;
  nameCopy(server);
  server.branch = rootBranch(server.world.nextId(), systemId, server.world.startLsn, server.flavour, server.copyName);
  server.lsn = server.world.startLsn + CHECKPOINT_BYTES;
  server.appliedLsn = server.lsn;
  server.tablesLsn = server.lsn;
  server.opened = null;
  server.spoiled = false;
  server.shutdown = 'clean';
  server.removedBelow = 0;
  server.configuredUpstream = null;
  server.configuredRule = ALONE;
}

/** Each copy of the data writes under a name of its own. */
function nameCopy(server: SimServer): void {
  server.copies += 1;
  server.copyName = `n${server.index + 1}.${server.copies}`;
}

/**
 * Starts the processes, always fenced: as a replica without upstream. Ready when the process is `replica`.
 *
 * @param recovery `cut`: MariaDB drops what is in its log and not in its tables, whoever wrote it.
 */
export function startFenced(server: SimServer, recovery: 'whole' | 'cut' = 'whole'): void {
  const { random } = server.world;
  server.endLife();
  server.process = 'starting';
  server.configuredUpstream = null;
  server.postmasterRule = server.configuredRule;
  server.checkpointerRule = server.configuredRule;
  server.waitsForStandbys = server.configuredRule.required > 0;
  server.requiredAcks = 0;
  server.closedByHand = false;
  server.conninfoByHand = false;
  server.applying = 'no';
  server.localEndKnown = false;
  server.connectPlanned = false;
  server.waiters = [];
  server.promotion = null;
  server.epoch = null;
  const recoveryMs = server.shutdown === 'crashed' ? random.between(50, 900) : random.between(20, 150);
  server.later(recoveryMs, () => {
    if (server.trouble.diskFull > 0) {
      exit(server, 'crashed');
      return;
    }
    if (recovery === 'cut') cutLog(server);
    server.process = 'replica';
    server.changed();
    server.later(random.between(1, server.shutdown === 'crashed' ? 400 : 40), () => {
      // MariaDB does not know what is in its relay log: the engine has to find out.
      if (server.flavour === 'mariadb') return;
      server.localEndKnown = true;
      server.changed();
    });
    server.shutdown = 'crashed';
  });
}

/** What an applier wrote goes too, and what was received and purged from the relay log can not be applied again. */
function cutLog(server: SimServer): void {
  const { world, branch, index } = server;
  if (branch === null || server.tablesLsn >= server.lsn) return;
  const cutBytes = server.lsn - server.tablesLsn;
  if (world.trace.on) world.trace.note(`n${index + 1}`, `    ${cutBytes} bytes are cut off the end of its log`);
  const how = world.observer.holdsAll(server) ? 'cut back' : 'shortened';
  server.lsn = server.tablesLsn;
  server.appliedLsn = server.lsn;
  server.branch = branchAt(branch, server.lsn);
  world.observer.onCopyChanged(server, how);
}

/** The processes end, in order or not. Whoever waits for a commit does not learn its outcome. */
export function exit(server: SimServer, how: 'clean' | 'crashed'): void {
  if (server.process === 'down') return;
  const streams = [...server.senders];
  const { receiver } = server;
  // What a fallen primary had in its log, acknowledged or not, is committed by its recovery.
  if (server.process === 'primary' || server.process === 'stopping') server.appliedLsn = server.lsn;
  server.process = 'down';
  server.shutdown = how;
  server.waiters = [];
  server.strangers = 0;
  server.strangersLsn = 0;
  server.epoch = null;
  server.localEndKnown = false;
  server.promotion = null;
  server.endLife();
  for (const stream of streams) endSender(stream);
  if (receiver !== null) endReceiver(receiver);
  server.world.observer.onRules(server);
  server.changed();
}

/** The operating system ends the server at once. */
export function kill(server: SimServer): void {
  if (server.trouble.unkillable > 0) return;
  exit(server, 'crashed');
}

/** Somebody else than its agent tells the server to end (SIGTERM, SHUTDOWN). */
export function terminate(server: SimServer): void {
  answerWaiting(server);
  kill(server);
}

/** The host loses power: nobody is told, and what was not flushed never was. */
export function loseHost(server: SimServer): void {
  server.hostUp = false;
  exit(server, 'crashed');
}

export function freezeServer(server: SimServer): void {
  server.freeze();
  noteQuietAround(server);
}

export function thawServer(server: SimServer): void {
  server.thaw();
  noteQuietAround(server);
  for (const stream of server.senders) pump(stream);
}

function noteQuietAround(server: SimServer): void {
  for (const stream of server.senders) noteQuiet(stream);
  if (server.receiver !== null) noteQuiet(server.receiver);
}

/** Stops accepting, sends the end of the log to every connected replica (or not), and exits. */
export function stopServer(server: SimServer, mode: 'handover' | 'fence' | 'orderly'): void {
  const { random, observer } = server.world;
  if (mode === 'fence') {
    kill(server);
    return;
  }
  if (server.process === 'primary') {
    server.process = 'stopping';
    server.waiters = [];
    observer.onRules(server);
    server.later(server.flushDelayMs(), () => {
      if (server.flavour === 'postgres') server.lsn += CHECKPOINT_BYTES;
      for (const stream of server.senders) pump(stream);
      waitForSenders(server);
    });
    return;
  }
  if (server.process === 'stopping') return;
  server.later(random.between(10, 150), () => exit(server, server.flavour === 'postgres' ? 'clean' : 'crashed'));
}

/** PostgreSQL ends only when every connected walsender has confirmed the shutdown checkpoint. */
function waitForSenders(server: SimServer): void {
  if (server.senders.every((stream) => stream.confirmedLsn >= server.lsn)) {
    server.later(server.world.random.between(1, 10), () => exit(server, 'clean'));
    return;
  }
  server.later(HANDOVER_POLL_MS, () => waitForSenders(server));
}

/** Tells a running replica whom to receive from; null cuts the stream. The settings are reloaded, so the old receiver lives on for a while. */
export function setUpstream(server: SimServer, upstream: number | null): void {
  const { conninfoByHand } = server;
  server.conninfoByHand = false;
  server.configuredUpstream = upstream;
  server.lastUpstream = upstream ?? server.lastUpstream;
  // What an earlier upstream, or an earlier copy of the data, was told says nothing about this one.
  server.receiverTrouble = 'unknown';
  if (server.process !== 'replica') return;
  const { random } = server.world;
  const { receiver } = server;
  if (receiver !== null && (receiver.source.index !== upstream || conninfoByHand)) {
    const delayMs = random.between(1, 30) + lateStopMs(server, receiver);
    server.later(delayMs, () => endReceiver(receiver));
  }
  if (upstream !== null && receiver === null) connectLater(server, random.between(1, 10));
}

/** PostgreSQL reloads its settings first; MariaDB logs in at a source that does not answer once more, and waits a second for that. */
function lateStopMs(server: SimServer, { source }: Stream): number {
  const { random, net } = server.world;
  if (server.flavour === 'postgres') return random.next() * server.trouble.slowReloadMs;
  const answers = source.hostUp && !source.frozen && net.passes(server.index, source.index);
  return server.flavour === 'mariadb' && !answers ? 1000 : 0;
}

/** MySQL, MariaDB: begins the timeline `timeline` on a fenced server that has applied everything: its first transaction says so. */
export function writeMarker(server: SimServer, timeline: number): void {
  const { world, branch } = server;
  if (server.process !== 'replica' || branch === null || server.trouble.cannotOpen > 0) return;
  server.branch = forkBranch(world.nextId(), { branch, lsn: server.lsn }, timeline, server.copyName);
  server.tablesLsn = server.lsn;
  server.lsn += CHECKPOINT_BYTES;
  server.appliedLsn = server.lsn;
  for (const stream of server.senders) pump(stream);
}

/** MySQL, MariaDB: `read_only` is switched off. */
export function openOnLine(server: SimServer, epoch: Epoch): void {
  if (server.process !== 'replica' || server.trouble.cannotOpen > 0) return;
  server.process = 'primary';
  server.epoch = epoch;
  server.waiters = [];
  server.committedLsn = server.lsn;
  server.world.observer.onOpen(server);
  server.changed();
}

/** Asks a running replica to open for writes. It goes on by itself, whatever becomes of the agent. */
export function requestPromotion(server: SimServer, epoch: Epoch, timeline: number): void {
  if (server.process !== 'replica' || server.promotion !== null) return;
  server.promotion = { epoch, timeline };
  server.later(server.world.random.between(15, 120), () => {
    if (server.trouble.cannotOpen > 0) {
      server.promotion = null;
      return;
    }
    if (server.process === 'replica') openForWrites(server, epoch, timeline);
  });
}

/** Somebody calls `pg_promote()`, or starts the server without `standby.signal`. A fenced server has a list that nobody satisfies. */
export function openByHand(server: SimServer): void {
  const { world, branch } = server;
  if (server.process !== 'replica' || branch === null || server.promotion !== null || !server.localEndKnown) return;
  if (server.receiver !== null) endReceiver(server.receiver);
  server.branch = forkBranch(world.nextId(), { branch, lsn: server.lsn }, branch.timeline + 1);
  server.lsn += CHECKPOINT_BYTES;
  server.process = 'primary';
  server.spoiled = true;
  server.epoch = null;
  server.configuredUpstream = null;
  server.checkpointed = false;
  server.waiters = [];
  server.waitsForStandbys = true;
  for (const stream of [...server.senders]) endSender(stream);
  server.changed();
}

function openForWrites(server: SimServer, epoch: Epoch, timeline: number): void {
  const { world, branch } = server;
  if (branch === null) return;
  if (server.receiver !== null) endReceiver(server.receiver);
  server.branch = forkBranch(world.nextId(), { branch, lsn: server.lsn }, timeline);
  server.lsn += CHECKPOINT_BYTES;
  server.process = 'primary';
  server.promotion = null;
  server.epoch = epoch;
  server.configuredUpstream = null;
  server.checkpointed = false;
  server.waiters = [];
  for (const stream of server.senders) stream.caughtUp = false;
  world.observer.onOpen(server);
  server.changed();
  for (const stream of server.senders) pump(stream);
}

/** A commit of `bytes`: written, flushed, sent, and acknowledged when the rule says so. False when the server cannot take it. */
export function write(server: SimServer, bytes: number): boolean {
  if (server.process !== 'primary') return false;
  if (server.trouble.diskFull > 0) {
    // PostgreSQL panics when it cannot write its log.
    exit(server, 'crashed');
    return false;
  }
  server.later(server.flushDelayMs(), () => {
    if (server.process !== 'primary') return;
    // Whatever is prepared makes durable what was committed before it.
    server.tablesLsn = server.committedLsn;
    server.lsn += bytes;
    if (server.flavour === 'postgres') {
      server.waiters.push(server.lsn);
      if (!server.waitsForStandbys) release(server, server.lsn);
    } else commitWritten(server);
    for (const stream of server.senders) pump(stream);
  });
  return true;
}

/** Writes something that no client waits for, so that an idle log moves (a barrier). Returns where it ends. */
export function writeBarrier(server: SimServer): number {
  server.lsn += 48;
  for (const stream of server.senders) pump(stream);
  return server.lsn;
}

/** Puts a copy of `source`'s data in place, with the log that was written while it was made: it is consistent by itself. */
export function installCopy(server: SimServer, source: SimServer): void {
  server.disk = 'data';
  server.systemId = source.systemId;
  server.branch = source.branch;
  server.lsn = source.flavour === 'postgres' ? source.lsn : copyEnd(source);
  server.removedBelow = server.lsn;
  server.appliedLsn = server.lsn;
  server.tablesLsn = server.lsn;
  server.opened = null;
  server.spoiled = false;
  nameCopy(server);
  server.unlocked = source.unlocked;
  server.shutdown = 'crashed';
  server.configuredUpstream = null;
  server.configuredRule = source.configuredRule;
}

/**
 * Turns a stopped copy that has diverged into one of `source`: what only it held goes, blocks and log of the source take its place.
 * False when they share nothing. Without a checkpoint on the source's new timeline nothing is found to be different (C33).
 */
export function rewindTo(server: SimServer, source: SimServer): boolean {
  if (server.branch === null || source.branch === null) return false;
  const shared = commonEnd({ branch: server.branch, lsn: server.lsn }, { branch: source.branch, lsn: source.lsn });
  if (shared === null) return false;
  if (!source.checkpointed) return true;
  server.branch = source.branch;
  server.lsn = source.lsn;
  server.shutdown = 'crashed';
  server.configuredRule = source.configuredRule;
  server.world.observer.onCopyChanged(server, 'rewound');
  return true;
}
