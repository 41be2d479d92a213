import { type Branch, branchAt, holds } from '../wal/branch.ts';
import { countReply, memberName } from './acks.ts';
import { keepApplying, sendableEnd } from './received.ts';
import { countAcknowledgement } from './semi-sync.ts';
import type { SimServer, Stream } from './server.ts';

/** Status messages and keep-alives in both directions. */
export const HEARTBEAT_MS = 600;
const RETRY_MS = 250;
const BYTES_PER_MS = 200_000;

/** Plans the next attempt of a replica to connect to its configured upstream. */
export function connectLater(sink: SimServer, delayMs: number): void {
  if (sink.connectPlanned) return;
  sink.connectPlanned = true;
  sink.later(delayMs, () => {
    sink.connectPlanned = false;
    connect(sink);
  });
}

function connect(sink: SimServer): void {
  if (sink.process !== 'replica' || sink.configuredUpstream === null || sink.receiver !== null) return;
  const source = sink.world.servers[sink.configuredUpstream];
  if (source === undefined || sink.branch === null) return;
  const refusal = refusalOf(source, sink, sink.branch);
  if (refusal === null) {
    open(source, sink, sink.branch);
    return;
  }
  if (sink.receiverTrouble !== refusal) {
    sink.receiverTrouble = refusal;
    sink.changed();
  }
  connectLater(sink, refusal === 'unknown' ? RETRY_MS * 3 : RETRY_MS);
}

/** Why `source` does not serve `sink`; null when it does. */
function refusalOf(source: SimServer, sink: SimServer, branch: Branch): SimServer['receiverTrouble'] | null {
  const { net } = sink.world;
  if (!sink.localEndKnown || sink.trouble.diskFull > 0) return 'unknown';
  if (!source.hostUp || source.frozen || source.hung) return 'unknown';
  if (!net.passes(sink.index, source.index) || !net.passes(source.index, sink.index)) return 'unknown';
  if (source.trouble.unreachable > 0) return 'refused';
  if (source.process === 'down' || source.process === 'starting' || source.process === 'stopping') return 'refused';
  if (source.branch === null || source === sink || source.systemId !== sink.systemId) return 'history';
  if (!holds(source.branch, sendableEnd(source), branch, sink.lsn)) return 'history';
  if (sink.lsn < source.removedBelow) return 'wal-removed';
  if (source.flavour !== 'postgres') return refusalOfLogin(source, sink);
  // Each member has a slot of its own, and a slot serves one connection. Without it a dead connection and its successor would count
  // as two acknowledgements of one standby: PostgreSQL does not tell names apart.
  return source.senders.some((stream) => stream.sink === sink) ? 'slot' : null;
}

/** Two connections of one replica: the source ends the old one. A locked account can not log in. */
function refusalOfLogin(source: SimServer, sink: SimServer): SimServer['receiverTrouble'] | null {
  for (const stream of source.senders.filter((each) => each.sink === sink)) endSender(stream);
  const locked = source.process === 'primary' && !source.unlocked.has(memberName(sink));
  return sink.account === 'ack' && locked ? 'login' : null;
}

function open(source: SimServer, sink: SimServer, branch: Branch): void {
  const { scheduler, random } = sink.world;
  const stream: Stream = {
    source,
    sink,
    sourceLife: source.life,
    sinkLife: sink.life,
    openedAt: scheduler.now,
    phaseMs: random.between(0, HEARTBEAT_MS),
    account: sink.account,
    byHand: sink.conninfoByHand,
    senderAlive: true,
    receiverAlive: true,
    inFlight: false,
    caughtUp: false,
    sentBranch: branch,
    sentLsn: sink.lsn,
    confirmedBranch: branch,
    confirmedLsn: sink.lsn,
    held: null,
    // A replica's walsender reads the settings too; they matter from the moment it becomes a primary.
    loaded: source.postmasterRule,
    quietToSink: null,
    quietToSource: null,
  };
  source.senders.push(stream);
  sink.receiver = stream;
  sink.receiverTrouble = 'unknown';
  source.world.observer.onRules(source);
  sink.world.observer.onReceiver(sink);
  sink.changed();
  source.changed();
  pump(stream);
}

/** Sends what the sink lacks, one message at a time. */
export function pump(stream: Stream): void {
  const { source, sink } = stream;
  if (!stream.senderAlive || stream.inFlight || source.life !== stream.sourceLife || source.frozen) return;
  if (source.branch === null) return;
  const end = sendableEnd(source);
  const branch = end === source.lsn ? source.branch : branchAt(source.branch, end);
  const bytes = end - stream.sentLsn;
  if (bytes <= 0 && branch === stream.sentBranch) {
    noteCaughtUp(stream);
    return;
  }
  const { net, scheduler } = source.world;
  if (!net.passes(source.index, sink.index)) return;
  stream.inFlight = true;
  scheduler.after(net.delayMs() + bytes / BYTES_PER_MS + sink.flushDelayMs(), () => {
    sink.runIn(stream.sinkLife, () => arrive(stream, branch, end));
  });
}

function noteCaughtUp(stream: Stream): void {
  if (stream.caughtUp) return;
  stream.caughtUp = true;
  stream.source.world.observer.onRules(stream.source);
  stream.source.changed();
  // MySQL and MariaDB acknowledge what they are sent; who holds something already is not sent it again.
  if (stream.source.flavour === 'postgres') reply(stream);
}

function arrive(stream: Stream, branch: Branch, end: number): void {
  stream.inFlight = false;
  const { sink } = stream;
  // A receiver that was cut has stopped writing; until that moment it writes and acknowledges.
  if (!stream.receiverAlive) return;
  if (sink.trouble.diskFull > 0) {
    endReceiver(stream);
    return;
  }
  sink.branch = branch;
  sink.lsn = Math.max(sink.lsn, end);
  stream.sentBranch = branch;
  stream.sentLsn = end;
  keepApplying(sink);
  reply(stream);
  pump(stream);
  sink.passOn();
}

/** Tells the source what is durable at the sink. */
function reply(stream: Stream): void {
  const { source, sink } = stream;
  if (!stream.receiverAlive || sink.life !== stream.sinkLife || sink.branch === null) return;
  const { net, scheduler } = sink.world;
  const confirmed = { branch: sink.branch, lsn: sink.lsn };
  if (!net.passes(sink.index, source.index)) {
    stream.held = confirmed;
    return;
  }
  scheduler.after(net.delayMs(), () => {
    source.runIn(stream.sourceLife, () => receiveReply(stream, confirmed.branch, confirmed.lsn));
  });
}

function receiveReply(stream: Stream, branch: Branch, lsn: number): void {
  if (!stream.senderAlive) return;
  if (lsn < stream.confirmedLsn) return;
  stream.confirmedBranch = branch;
  stream.confirmedLsn = lsn;
  if (stream.source.flavour === 'postgres') countReply(stream);
  else countAcknowledgement(stream, lsn);
}

/** The link between two hosts was cut or healed: what was held back arrives now, what was waiting is sent. */
export function linkChanged(source: SimServer, sink: SimServer): void {
  for (const stream of [...source.senders]) {
    if (stream.sink !== sink) continue;
    noteQuiet(stream);
    const { net, scheduler } = source.world;
    if (net.passes(source.index, sink.index)) pump(stream);
    const { held } = stream;
    if (held === null || !net.passes(sink.index, source.index)) continue;
    stream.held = null;
    scheduler.after(net.delayMs(), () => {
      source.runIn(stream.sourceLife, () => receiveReply(stream, held.branch, held.lsn));
    });
  }
}

/** Re-reads which directions of a stream are silent, and plans that an end gives up after a long silence. */
export function noteQuiet(stream: Stream): void {
  const { source, sink } = stream;
  const { net, scheduler } = source.world;
  const sends = stream.senderAlive && source.life === stream.sourceLife && !source.frozen && source.hostUp;
  const answers = stream.receiverAlive && sink.life === stream.sinkLife && !sink.frozen && sink.hostUp;
  const now = scheduler.now;
  if (sends && net.passes(source.index, sink.index)) stream.quietToSink = null;
  else if (stream.quietToSink === null) {
    stream.quietToSink = now;
    giveUpLater(stream, 'sink', now);
  }
  if (answers && net.passes(sink.index, source.index)) stream.quietToSource = null;
  else if (stream.quietToSource === null) {
    stream.quietToSource = now;
    giveUpLater(stream, 'source', now);
  }
}

function giveUpLater(stream: Stream, end: 'sink' | 'source', since: number): void {
  const { source, sink } = stream;
  const { scheduler, streamTimeoutMs } = source.world;
  scheduler.after(streamTimeoutMs, () => {
    if (end === 'sink') {
      sink.runIn(stream.sinkLife, () => {
        if (stream.quietToSink === since) endReceiver(stream);
      });
    } else {
      source.runIn(stream.sourceLife, () => {
        if (stream.quietToSource === since) endSender(stream);
      });
    }
  });
}

/** The walreceiver exits; the other end learns of it if the network lets it. */
export function endReceiver(stream: Stream): void {
  if (!stream.receiverAlive) return;
  stream.receiverAlive = false;
  const { source, sink } = stream;
  if (sink.receiver === stream) sink.receiver = null;
  sink.changed();
  if (sink.process === 'replica' && sink.configuredUpstream !== null) connectLater(sink, RETRY_MS);
  noteQuiet(stream);
  tellOtherEnd(sink, source, () => {
    source.runIn(stream.sourceLife, () => endSender(stream));
  });
}

/** The walsender exits. */
export function endSender(stream: Stream): void {
  if (!stream.senderAlive) return;
  stream.senderAlive = false;
  const { source, sink } = stream;
  const place = source.senders.indexOf(stream);
  if (place >= 0) source.senders.splice(place, 1);
  source.world.observer.onRules(source);
  source.changed();
  noteQuiet(stream);
  tellOtherEnd(source, sink, () => {
    sink.runIn(stream.sinkLife, () => endReceiver(stream));
  });
}

/** The kernel closes the connection: noticed at once, unless the host died or the link is cut. */
function tellOtherEnd(from: SimServer, to: SimServer, told: () => void): void {
  const { net, scheduler } = from.world;
  if (!from.hostUp || !net.passes(from.index, to.index)) return;
  scheduler.after(net.delayMs(), told);
}

/** How long one end has heard nothing, given since when its direction is quiet. */
export function silenceMs(stream: Stream, quietSince: number | null): number {
  const now = stream.source.world.scheduler.now;
  const upTo = quietSince ?? now;
  const sinceBeat = Math.min((upTo + stream.phaseMs) % HEARTBEAT_MS, upTo - stream.openedAt);
  return now - upTo + sinceBeat;
}
