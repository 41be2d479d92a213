import type { MemberId } from '@understudy/core';
import { type ClusterContext, EngineError } from '@understudy/engine';
import { receiverConninfo } from '../config/conninfo.ts';
import { fenced } from '../config/managed.ts';
import type { Instance } from '../instance.ts';
import { slotName, standbyName } from '../names.ts';
import { reloadOrThrow } from './reload.ts';

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
    throw new EngineError(
      'ENGINE_INTERNAL',
      `The leader ${leader} is not among the members; its address is unknown.`,
      'safe',
    );
  }
  if (instance.postmaster.running === null) {
    throw new EngineError('ENGINE_UNREACHABLE', `The server is not running, so it cannot follow ${leader}.`, 'safe');
  }
  const tls = instance.options.tls === null ? null : { ...instance.options.tls, ...instance.paths.tls };
  const conninfo = receiverConninfo(
    member,
    standbyName(instance.options.cluster, context.self),
    instance.paths.passwordFile,
    tls,
  );
  const upstream = { member: leader, conninfo, slot: slotName(context.self) };
  const present = instance.config.replication.upstream;
  const same = present?.conninfo === conninfo && present.slot === upstream.slot && present.member === leader;
  if (instance.config.learn(context) === 'written' && same) return 'same';
  await instance.config.write({ ...fenced, upstream });
  const expected = { primary_conninfo: conninfo, primary_slot_name: upstream.slot, 'understudy.upstream': leader };
  await reloadOrThrow(instance, expected, 'ENGINE_INTERNAL');
  return 'changed';
}
