import { formatRule, type LeadershipRecord, type MemberId, wantedUpstream } from '@understudy/core';
import { indexOf, nameOf } from '../agent/observe.ts';
import type { SimServer } from '../server/server.ts';
import type { World } from './world.ts';

export interface Settled {
  /** Acknowledgements counted when everything was healed: writes must go on after it. */
  readonly ackedAtHealing: number;
}

/** What is still missing until every node is as it should be; null when nothing is. */
export function settledProblem(world: World, watch: Settled): string | null {
  const { record, store } = world;
  const problem = workingProblem(world);
  if (problem !== null || record === null) return problem;
  if (store.content.request !== null) return `request ${store.content.request.value.id} is still pending`;
  const config = store.content.config?.value;
  const wanted = config?.durability === 'async' ? 0 : (config?.requiredAcks ?? 1);
  if (record.rule.required < wanted) return `only ${formatRule(record.rule)} acknowledge, ${wanted} wanted`;
  if (world.checks.counts.acked <= watch.ackedAtHealing) return 'no write was acknowledged since the healing';
  return null;
}

/** What is missing until there is an open primary and every host that has power replicates from it; null when nothing is. */
export function workingProblem(world: World): string | null {
  const { record } = world;
  const servers = world.servers.filter((server) => server.hostUp);
  if (record === null) return 'no leadership record';
  if (record.phase !== 'open') return `epoch ${record.epoch} of ${record.leader} is still ${record.phase}`;
  if (record.nextRule !== null) return `the ack rule is still moving to ${formatRule(record.nextRule)}`;
  const leader = servers.find((server) => nameOf(server.index) === record.leader);
  if (leader === undefined || leader.process !== 'primary' || leader.epoch !== record.epoch) {
    return `${record.leader} leads epoch ${record.epoch} but its server is ${leader?.process}`;
  }
  for (const { index, agent, guard, server } of world.nodes) {
    if (!server.hostUp) continue;
    if (!agent.process.alive || !guard.process.alive) return `the agent or the guard of ${nameOf(index)} is gone`;
  }
  for (const server of servers) {
    if (server === leader) continue;
    const name = nameOf(server.index);
    if (server.process !== 'replica') return `${name} is ${server.process} (data ${server.disk})`;
    if (server.receiver === null) return `${name} has no stream (${server.receiverTrouble})`;
    const upstream = upstreamOf(world, record, server);
    if (server.receiver.source !== upstream) return `${name} is not under ${nameOf(upstream.index)}`;
    if (!server.receiver.caughtUp) return `${name} is catching up`;
  }
  return null;
}

/**
 * Whom a replica of a healthy cluster receives from: whom the configuration names, unless that host is gone, or the replica has to
 * acknowledge, as there are too few others.
 */
function upstreamOf(world: World, record: LeadershipRecord, server: SimServer): SimServer {
  const { members, config } = world.store.content;
  const upstreams = config?.value.upstreams ?? {};
  const wants = (member: MemberId): MemberId | null => wantedUpstream(upstreams, members, record.leader, member);
  const wanted = wants(nameOf(server.index));
  const direct = record.rule.members.filter((member) => wants(member) === null);
  const mustAcknowledge = direct.length < record.rule.required && record.rule.members.includes(nameOf(server.index));
  const found = world.servers[indexOf(wanted ?? record.leader)];
  const leader = world.servers[indexOf(record.leader)];
  if (found === undefined || leader === undefined) throw new Error(`${wanted} is no server`);
  return mustAcknowledge || !found.hostUp ? leader : found;
}
