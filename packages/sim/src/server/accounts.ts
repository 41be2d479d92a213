import type { MemberId } from '@understudy/core';
import { memberName } from './acks.ts';
import { commitWritten } from './semi-sync.ts';
import type { SimServer } from './server.ts';
import { endSender, pump } from './stream.ts';

const NUDGE_BYTES = 48;

/** Locks the accounts of everybody who is not among `members`, and ends their connections: what they send from now on is read by nobody. */
export function lockOthers(server: SimServer, members: readonly MemberId[]): void {
  server.unlocked = new Set(members.filter((member) => server.unlocked.has(member)));
  for (const stream of [...server.senders]) {
    if (stream.account === 'ack' && !members.includes(memberName(stream.sink))) endSender(stream);
  }
  server.world.observer.onRules(server);
}

export function unlock(server: SimServer, members: readonly MemberId[]): void {
  server.unlocked = new Set(members);
  server.world.observer.onRules(server);
}

/** A small transaction, so that replicas have something to acknowledge: it covers all before it. */
export function writeNudge(server: SimServer): void {
  if (server.process !== 'primary') return;
  server.lsn += NUDGE_BYTES;
  commitWritten(server);
  for (const stream of server.senders) pump(stream);
}
