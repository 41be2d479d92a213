/** What this agent tells the others after a decision. */

import {
  type ClusterConfig,
  DEFAULT_CONFIG,
  type Decision,
  type LiveState,
  type Observation,
  type StoreContent,
  type StoreMark,
  servesAt,
  sightingOf,
} from '@understudy/core';
import type { EngineDetails } from '@understudy/engine';
import { clipped, fewEnough, SENTENCES } from '../codec/live.ts';
import type { PeerReport } from '../peers/report.ts';

const REASONS = 32;
const PENDING = 256;
const LOGINS = 512;

export function contentOf(observation: Observation): StoreContent | null {
  return observation.store.kind === 'never' ? null : observation.store.content;
}

export function configOf(observation: Observation | null): ClusterConfig {
  return (observation === null ? null : contentOf(observation))?.config?.value ?? DEFAULT_CONFIG;
}

export function makeReport(
  observation: Observation,
  decision: Decision,
  details: EngineDetails,
  replayLagMs: number | null,
  known: StoreMark | null,
): PeerReport {
  const live: LiveState = {
    member: observation.self,
    incarnation: observation.incarnation,
    epoch: contentOf(observation)?.record?.value.epoch ?? null,
    engine: observation.engine,
    suspects: decision.suspects,
    ...(observation.leaving === 'yes' ? { leaving: 'yes' } : {}),
    leaderPosition: decision.memory.leaderPosition,
    ...(known === null ? {} : { seen: sightingOf(known) }),
  };
  const { job } = observation;
  return {
    live,
    extra: {
      reasons: decision.reasons.slice(0, REASONS).map(({ code, text }) => ({ code, text: clipped(text) })),
      job:
        job === null
          ? null
          : {
              kind: job.kind,
              sinceMs: job.sinceMs,
              doneBytes: job.progress?.doneBytes ?? null,
              totalBytes: job.progress?.totalBytes ?? null,
            },
      version: details.version,
      pendingRestart: details.pendingRestart.slice(0, PENDING),
      warnings: [...fewEnough(details.warnings.map(clipped), (left) => `There are ${left} more warnings.`)],
      retainedBytes: Object.fromEntries(Object.entries(details.retainedBytes).slice(0, SENTENCES)),
      serves: servesAt(observation, decision, contentOf(observation)?.record?.value ?? null, observation.now),
      replayLagMs,
      ...(details.logins === undefined ? {} : { loginsKept: 'yes' as const }),
      ...(details.logins == null ? {} : { logins: details.logins.accepted.slice(0, LOGINS) }),
    },
  };
}
