import { type LeadershipRecord, type MemberId, sealsSuffice } from '@understudy/core';
import { hasStandbyName, memberName } from '../server/acks.ts';
import { requiredBy } from '../server/semi-sync.ts';
import type { SimServer } from '../server/server.ts';

/**
 * Whether members that lack something could be accepted as a seal quorum under `record`, with one among them that may lead.
 * Returns their names, or null.
 */
export function electableWithout(
  servers: readonly SimServer[],
  record: LeadershipRecord,
  lacks: (server: SimServer) => boolean,
  mayLead: (server: SimServer) => boolean,
): string | null {
  const { rule, nextRule } = record;
  const lacking = new Set<MemberId>();
  let candidate = false;
  for (const server of servers) {
    const name = memberName(server);
    const member = rule.members.includes(name) || nextRule?.members.includes(name) === true;
    // Without data there is no position to seal with.
    if (!member || server.disk !== 'data' || !lacks(server)) continue;
    lacking.add(name);
    if (mayLead(server)) candidate = true;
  }
  if (!candidate) return null;
  return sealsSuffice(record, lacking) ? [...lacking].join(', ') : null;
}

/** A set of standbys that this primary's walsenders, as they are now, would count as enough, and that no election has to ask; null if none. */
export function ruleHole(server: SimServer, record: LeadershipRecord): string | null {
  const everybody = server.world.servers.map(memberName);
  const misses = (acking: ReadonlySet<MemberId>): boolean =>
    sealsSuffice(record, new Set(everybody.filter((member) => !acking.has(member))));
  if (!server.waitsForStandbys) {
    return misses(new Set()) ? 'commits are acknowledged by the leader alone, and the record lets others elect' : null;
  }
  if (server.flavour !== 'postgres') return accountHole(server, misses);
  const counted = server.senders.filter(
    (each) => each.caughtUp && hasStandbyName(each) && each.loaded.members.includes(memberName(each.sink)),
  );
  const names = counted.map((each) => memberName(each.sink));
  for (const stream of counted) {
    const { required } = stream.loaded;
    for (const subset of subsets(names, required)) {
      if (misses(new Set(subset))) {
        return `the walsender of ${memberName(stream.sink)} would acknowledge by (${subset.join(', ')}), which an election need not ask`;
      }
    }
  }
  return null;
}

/** MySQL, MariaDB: whoever's account is not locked may connect and acknowledge, at any time. */
function accountHole(server: SimServer, misses: (acking: ReadonlySet<MemberId>) => boolean): string | null {
  const connected = server.senders.filter(({ account }) => account === 'ack').map(({ sink }) => memberName(sink));
  const names = [...new Set([...server.unlocked, ...connected])];
  const found = subsets(names, requiredBy(server)).find((subset) => misses(new Set(subset)));
  return found === undefined ? null : `(${found.join(', ')}) suffice to acknowledge, and an election need not ask them`;
}

/** All subsets of `size` elements. */
function subsets(items: readonly MemberId[], size: number): readonly (readonly MemberId[])[] {
  if (size === 0) return [[]];
  if (size > items.length) return [];
  const [first, ...rest] = items;
  if (first === undefined) return [];
  return [...subsets(rest, size - 1).map((subset) => [first, ...subset]), ...subsets(rest, size)];
}
