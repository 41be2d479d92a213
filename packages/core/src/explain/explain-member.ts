import { type ClusterContext, configOf, ownSeal } from '../context.ts';
import { suspicion } from '../failover/suspicion.ts';
import { formatPosition } from '../position/position.ts';
import { formatRule } from '../values/ack-rule.ts';
import { elapsedMs } from '../values/brand.ts';
import type { Command } from '../values/command.ts';
import type { Decision } from '../values/decision.ts';
import type { Observation } from '../values/observation.ts';
import type { Reason } from '../values/reason.ts';

/** Why a member does what it does, as plain JSON. */
export interface MemberExplanation {
  readonly member: string;
  readonly epoch: number | null;
  readonly leader: string | null;
  /** First the one that explains the commands (or why there are none). */
  readonly reasons: readonly Reason[];
  /** What it does now, in order, in words. */
  readonly does: readonly string[];
  /** Why it takes the leader for dead; null when it does not. */
  readonly suspicion: Reason | null;
  /** Where it is sealed for the present epoch; null when it is not. */
  readonly sealedAt: string | null;
  /** For how long a primary here may go on without hearing from its agent again; null: one would be stopped. */
  readonly authorityForMs: number | null;
}

/**
 * The last decision of a member in words.
 *
 * @param obs what it saw
 * @param decision what it decided on that
 */
export function explainMember(obs: Observation, decision: Decision): MemberExplanation {
  const ctx = turnOf(obs, decision);
  const { authority } = decision;
  const verdict = ctx === null ? null : suspicion(ctx);
  const seal = ctx === null ? null : ownSeal(ctx);
  return {
    member: obs.self,
    epoch: ctx?.record.value.epoch ?? null,
    leader: ctx?.record.value.leader ?? null,
    reasons: decision.reasons,
    does: decision.commands.map(describeCommand),
    suspicion: verdict?.kind === 'suspects' ? verdict.reason : null,
    sealedAt: seal === null ? null : formatPosition(seal.value.position),
    authorityForMs: authority.kind === 'none' ? null : Math.max(0, elapsedMs(obs.now, authority.until)),
  };
}

function turnOf(obs: Observation, decision: Decision): ClusterContext | null {
  if (obs.store.kind === 'never' || obs.store.content.record === null) return null;
  const { content } = obs.store;
  return { obs, memory: decision.memory, content, config: configOf(content), record: obs.store.content.record };
}

/** One command in a few words. */
export function describeCommand(command: Command): string {
  switch (command.kind) {
    case 'commit':
      return `write to the store: ${command.purpose}`;
    case 'initialize':
      return 'make an empty database';
    case 'start':
      return 'start the server read-only';
    case 'stop':
      return {
        handover: 'stop the server in order, to hand over',
        fence: 'stop the server at once',
        orderly: 'stop the server in order',
      }[command.mode];
    case 'seal':
      return `cut the replication stream for epoch ${command.epoch}`;
    case 'follow':
      return `follow ${command.upstream}`;
    case 'set-ack-rule':
      return `acknowledge by: ${formatRule(command.rule)}`;
    case 'promote':
      return `open for writes in epoch ${command.epoch}, acknowledging by: ${formatRule(command.rule)}`;
    case 'provision':
      return 'complete an open primary (users, checkpoint)';
    case 'clone':
      return `copy the data of ${command.from}`;
    case 'rewind':
      return `rewind to the history of ${command.from}`;
    case 'checkpoint':
      return 'checkpoint';
    case 'restart':
      return 'restart the server';
  }
}
