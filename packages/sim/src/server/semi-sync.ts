import type { MemberId } from '@understudy/core';
import { memberName, release } from './acks.ts';
import { requiredAcksMax } from './flavour.ts';
import type { SimServer, Stream } from './server.ts';
import { endSender, pump } from './stream.ts';

/** After this long a commit that waits would go on unacknowledged, and all others with it. */
const TIMEOUT_MS = Number.POSITIVE_INFINITY;
const NUDGE_BYTES = 48;

/** A reply of a replica that is connected with its acknowledger's account: whoever has that account counts, whatever the rule says. */
export function countAcknowledgement(stream: Stream, lsn: number): void {
  const server = stream.source;
  if (stream.account !== 'ack' || server.process !== 'primary' || !server.waitsForStandbys) return;
  const member = memberName(stream.sink);
  server.acknowledged.set(member, Math.max(lsn, server.acknowledged.get(member) ?? 0));
  releaseAcknowledged(server);
}

function releaseAcknowledged(server: SimServer): void {
  const confirmed = [...server.acknowledged.values()].sort((a, b) => b - a);
  const enough = confirmed[requiredBy(server) - 1];
  if (enough !== undefined) finish(server, enough);
}

/** MariaDB goes on after the first one, whatever is asked for. */
export function requiredBy(server: SimServer): number {
  return server.flavour === 'mariadb' ? 1 : server.requiredAcks;
}

function finish(server: SimServer, upTo: number): void {
  const last = server.waiters.findLast((end) => end <= upTo);
  if (last !== undefined) server.committedLsn = last;
  release(server, upTo);
}

/** A transaction is in the log and waits, if commits wait. */
export function commitWritten(server: SimServer): void {
  const end = server.lsn;
  server.waiters.push(end);
  if (!server.waitsForStandbys) finish(server, end);
  else if (Number.isFinite(TIMEOUT_MS)) server.later(TIMEOUT_MS, () => giveUpWaiting(server, end));
}

function giveUpWaiting(server: SimServer, end: number): void {
  if (server.process === 'primary' && server.waiters.includes(end)) finish(server, Number.POSITIVE_INFINITY);
}

/** A small transaction, so that replicas have something to acknowledge: it covers all before it. */
export function writeNudge(server: SimServer): void {
  if (server.process !== 'primary') return;
  server.lsn += NUDGE_BYTES;
  commitWritten(server);
  for (const stream of server.senders) pump(stream);
}

/** Locks the accounts of everybody who is not among `members`, and ends their connections: what they send from now on is read by nobody. */
export function lockOthers(server: SimServer, members: readonly MemberId[]): void {
  server.unlocked = new Set(members.filter((member) => server.unlocked.has(member)));
  for (const stream of [...server.senders]) {
    if (stream.account === 'ack' && !members.includes(memberName(stream.sink))) endSender(stream);
  }
  server.world.observer.onRules(server);
}

/** Commits wait for that many, also those that wait already; for none when it is 0. */
export function requireAcks(server: SimServer, required: number): void {
  const waited = server.waitsForStandbys;
  server.requiredAcks = required;
  server.waitsForStandbys = required > 0;
  if (!waited) server.acknowledged.clear();
  server.world.observer.onRules(server);
  if (server.process !== 'primary') return;
  if (required === 0) finish(server, Number.POSITIVE_INFINITY);
  else releaseAcknowledged(server);
}

export function unlock(server: SimServer, members: readonly MemberId[]): void {
  server.unlocked = new Set(members);
  server.world.observer.onRules(server);
}

/** Why an engine can not make its server count that many; null when it can. */
export function isCountable(server: SimServer, required: number): boolean {
  return required <= (requiredAcksMax(server.flavour) ?? required);
}
