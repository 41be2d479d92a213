import { type AckRule, sameRule } from '@understudy/core';
import type { SimServer, Stream } from './server.ts';

/** Whether this walsender takes its own standby for one that counts. */
function counts(stream: Stream): boolean {
  return stream.senderAlive && stream.caughtUp && isListed(stream);
}

function isListed(stream: Stream): boolean {
  return hasStandbyName(stream) && stream.loaded.members.includes(memberName(stream.sink));
}

/** The names of the list are nobody's by chance: what somebody starts by hand is not counted. */
export function hasStandbyName(stream: Stream): boolean {
  return !stream.byHand;
}

/** Members are named n1, n2, … everywhere in the simulator. */
export function memberName(server: SimServer): AckRule['members'][number] {
  return NAMES[server.index] as AckRule['members'][number];
}

const NAMES = ['n1', 'n2', 'n3', 'n4', 'n5', 'n6', 'n7', 'n8', 'n9'];

/**
 * What a walsender does with a reply, as PostgreSQL's SyncRepReleaseWaiters: it uses *its own* copy of the rule for the number of
 * acknowledgements, and the standing that each other walsender gave its own standby. After a change of the rule they disagree until
 * all of them have reloaded.
 */
export function countReply(stream: Stream): void {
  const server = stream.source;
  if (server.process !== 'primary' || !server.waitsForStandbys || server.waiters.length === 0) return;
  if (!counts(stream)) return;
  const { required } = stream.loaded;
  const confirmed: number[] = [];
  for (const each of server.senders) if (counts(each)) confirmed.push(each.confirmedLsn);
  if (confirmed.length < required) return;
  confirmed.sort((a, b) => b - a);
  release(server, confirmed[required - 1] ?? 0);
}

/** Commits up to `upTo` are acknowledged. */
export function release(server: SimServer, upTo: number): void {
  const { waiters } = server;
  let released = 0;
  while (released < waiters.length && (waiters[released] as number) <= upTo) released += 1;
  if (released === 0) return;
  const last = waiters[released - 1] as number;
  server.waiters = waiters.slice(released);
  server.world.observer.onAck(server, last);
}

/** A new rule is in the settings file; every process of the server reads it in its own time. */
export function reloadRule(server: SimServer, rule: AckRule): void {
  if (sameRule(server.configuredRule, rule)) return;
  server.configuredRule = rule;
  const { random } = server.world;
  const slow = () => 0.5 + random.next() * 4 + random.next() * server.trouble.slowReloadMs;
  server.later(slow(), () => {
    server.postmasterRule = server.configuredRule;
    for (const stream of server.senders) {
      server.later(slow(), () => {
        loadRule(stream);
      });
    }
    server.later(slow(), () => {
      loadInCheckpointer(server);
    });
  });
}

function loadRule(stream: Stream): void {
  if (!stream.senderAlive || stream.loaded === stream.source.configuredRule) return;
  stream.loaded = stream.source.configuredRule;
  stream.source.world.observer.onRules(stream.source);
  // The walsender looks at the waiting commits again with its new rule at the next reply.
  countReply(stream);
  stream.source.changed();
}

/** The checkpointer keeps the flag that makes commits wait; clearing it releases every one that waits (C15). */
function loadInCheckpointer(server: SimServer): void {
  server.checkpointerRule = server.configuredRule;
  const waits = server.configuredRule.required > 0;
  if (waits === server.waitsForStandbys) return;
  server.waitsForStandbys = waits;
  server.world.observer.onRules(server);
  if (!waits && server.process === 'primary') release(server, Number.POSITIVE_INFINITY);
  server.changed();
}

/** Whether every process of the server has loaded the configured rule. */
export function ruleIsLoaded(server: SimServer): boolean {
  const rule = server.configuredRule;
  if (server.checkpointerRule !== rule || server.postmasterRule !== rule) return false;
  for (const stream of server.senders) if (stream.loaded !== rule) return false;
  return true;
}
