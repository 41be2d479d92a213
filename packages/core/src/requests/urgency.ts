import { hasDueRequest } from '../context.ts';
import type { Decision } from '../values/decision.ts';
import type { Observation } from '../values/observation.ts';

/** Whether something is under way in which every millisecond of waiting is a millisecond of outage: the next look comes soon then. */
export function isUrgent(observation: Observation, decision: Decision): boolean {
  if (observation.store.kind === 'never') return false;
  const { record, seals } = observation.store.content;
  const isElecting = record !== null && [...seals.values()].some((seal) => seal.value.epoch === record.value.epoch);
  const isOpening = record?.value.phase === 'promoting' && record.value.leader === observation.self;
  const isStarting = observation.engine.kind === 'starting';
  const isLeaving = observation.leaving === 'yes';
  return (
    isLeaving ||
    hasDueRequest(observation.store.content) ||
    isElecting ||
    isOpening ||
    isStarting ||
    decision.suspects !== null
  );
}
