import { type Member, type MemberId, memberId } from '@understudy/core';
import { type ClusterContext, EngineError } from '@understudy/engine';
import { receiverConninfo } from '../config/conninfo.ts';
import { slotsDatabase } from '../config/hba.ts';
import { fenced } from '../config/managed.ts';
import { secureLink } from '../config/secure-link.ts';
import { noteOpened } from '../disk/opened.ts';
import type { Instance } from '../instance.ts';
import { slotName, standbyName } from '../names.ts';
import { reloadOrThrow, shows } from './reload.ts';

/** The connection string of this member's receiver to `from`. */
export function conninfoOf({ options, paths, config, expected }: Instance, from: Member): string {
  const tls = options.tls === null ? null : { ...options.tls, ...paths.tls };
  const name = standbyName(options.cluster, memberId(options.member));
  const database = config.copiesSlots === 'yes' ? slotsDatabase : null;
  const { user } = config.loginTo(from.id);
  return receiverConninfo(from, user, name, paths.passwordFile, secureLink(tls, expected.major), database);
}

/**
 * Lets the replica receive from `leader`. A reload is enough (PostgreSQL 13+); nothing happens when it is so already.
 * Resolves when a new process of the server has the settings; whether a stream comes about is for `observe`.
 *
 * @returns whether the upstream changed.
 */
export async function follow(
  instance: Instance,
  leader: MemberId,
  context: ClusterContext,
): Promise<'changed' | 'same'> {
  const member = context.members.get(leader);
  if (member === undefined) {
    throw new EngineError('ENGINE_INTERNAL', `The leader ${leader} is not among the members; its address is unknown.`, {
      retry: 'safe',
    });
  }
  if (instance.postmaster.running === null) {
    throw new EngineError('ENGINE_UNREACHABLE', `The server is not running, so it cannot follow ${leader}.`);
  }
  const conninfo = conninfoOf(instance, member);
  const upstream = { member: leader, conninfo, slot: slotName(context.self) };
  const present = instance.config.replication.upstream;
  const same = present?.conninfo === conninfo && present.slot === upstream.slot && present.member === leader;
  const expected = { primary_conninfo: conninfo, primary_slot_name: upstream.slot, 'understudy.upstream': leader };
  // What this process wrote last says nothing of what the server does now: somebody may have told it otherwise.
  if (instance.config.learn(context) === 'written' && same && (await shows(instance, expected))) return 'same';
  await noteOpened(instance.options.dataDir, { member: context.self, timeline: null }, instance.owner);
  await instance.config.write({ ...fenced, upstream });
  await reloadOrThrow(instance, expected, 'ENGINE_INTERNAL');
  return 'changed';
}
