import { type ClusterContext, freshPeer, tagsOf } from '../context.ts';
import { contains, type Position } from '../position/position.ts';
import { countedBy } from '../replica/topology.ts';
import { type AckRule, ALONE, ackRule } from '../values/ack-rule.ts';
import { mostAckers, pickAckers } from './eligible-ackers.ts';

/**
 * Who acknowledges for a new leader from its first write on. It is written with the leadership itself, before the server opens, so
 * there is no moment in which anything is acknowledged by a rule that the record does not know (C14).
 */
export function firstRule(ctx: ClusterContext, own: Position): AckRule {
  const { config, content, obs } = ctx;
  if (config.durability === 'async') return ALONE;
  const eligible = [...content.members.keys()].filter((member) => {
    const tags = tagsOf(ctx, member);
    return member !== obs.self && !tags.nosync && !tags.nofailover;
  });
  const ready = eligible.filter((member) => {
    const live = freshPeer(ctx, member);
    if (live?.engine.kind !== 'replica' || live.engine.blocked !== undefined || live.leaving === 'yes') return false;
    return live.engine.position !== null && contains(own, live.engine.position);
  });
  if (ready.length >= config.requiredAcks) {
    const chosen = pickAckers(ctx, countedBy(ctx, obs.self, ready), mostAckers(config.requiredAcks));
    return ackRule(chosen, config.requiredAcks);
  }
  if (config.whenShort === 'degrade') return ackRule(ready, config.requiredAcks);
  const stay = eligible.length >= config.requiredAcks ? eligible : [...ready, ...eligible];
  return ackRule(stay, config.requiredAcks);
}
