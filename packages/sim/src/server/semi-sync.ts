import { memberName, release } from './acks.ts';
import { requiredAcksMax } from './flavour.ts';
import type { SimServer, Stream } from './server.ts';

/** After this long a commit that waits would go on unacknowledged, and all others with it. */
const TIMEOUT_MS = Number.POSITIVE_INFINITY;
const STRANGER_MS = 2;
const STRANGER_BEHIND_MS = 1000;

/** A reply of a replica that is connected with its acknowledger's account: whoever has that account counts, whatever the rule says. */
export function countAcknowledgement(stream: Stream, lsn: number): void {
  const server = stream.source;
  if (stream.account !== 'ack' || server.process !== 'primary' || !server.waitsForStandbys) return;
  const member = memberName(stream.sink);
  server.acknowledged.set(member, Math.max(lsn, server.acknowledged.get(member) ?? 0));
  releaseAcknowledged(server);
}

function releaseAcknowledged(server: SimServer): void {
  const strangers = Array.from({ length: server.strangers }, () => server.strangersLsn);
  const confirmed = [...server.acknowledged.values(), ...strangers].sort((a, b) => b - a);
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
  if (server.strangers > 0) server.later(STRANGER_MS, () => countStrangers(server, end));
  if (!server.waitsForStandbys) finish(server, end);
  else if (Number.isFinite(TIMEOUT_MS)) server.later(TIMEOUT_MS, () => giveUpWaiting(server, end));
}

/** Somebody's replica connects; it is counted at once, and acknowledges when it has received what it missed. */
export function connectStranger(server: SimServer): void {
  if (server.process !== 'primary') return;
  server.strangers += 1;
  server.strangersLsn = -1;
  server.later(STRANGER_BEHIND_MS, () => {
    server.strangersLsn = 0;
  });
}

/** Somebody's replica that is connected and acknowledges: the server does not ask whose it is. */
function countStrangers(server: SimServer, end: number): void {
  if (server.process !== 'primary' || server.strangers === 0 || server.strangersLsn < 0) return;
  server.strangersLsn = Math.max(server.strangersLsn, end);
  if (server.waitsForStandbys) releaseAcknowledged(server);
}

/**
 * What an ordered shutdown of MySQL does first: whoever waits is told that all is well, when the server asks for one more replica than it
 * has. MariaDB's cuts the clients.
 */
export function answerWaiting(server: SimServer): void {
  if (server.flavour !== 'mysql' || server.process !== 'primary') return;
  const connected = server.senders.filter(({ account }) => account === 'ack').length + server.strangers;
  if (connected >= requiredBy(server) - 1) finish(server, Number.POSITIVE_INFINITY);
}

function giveUpWaiting(server: SimServer, end: number): void {
  if (server.process === 'primary' && server.waiters.includes(end)) finish(server, Number.POSITIVE_INFINITY);
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

/** Why an engine can not make its server count that many; null when it can. */
export function isCountable(server: SimServer, required: number): boolean {
  return required <= (requiredAcksMax(server.flavour) ?? required);
}
