import { monotonicMs } from '@understudy/base';
/** Puts together everything that one decision looks at. */

import type { Incarnation, MemberId, MemberTags, Observation, PeerView, StoreSighting } from '@understudy/core';
import type { Engine, EngineDetails, MemberReport } from '@understudy/engine';
import type { PeerSet } from '../peers/peer-set.ts';
import type { Session } from '../session/session.ts';
import type { StoreLink } from '../store/link.ts';
import type { Failures } from './failures.ts';

export interface Sources {
  readonly self: MemberId;
  readonly incarnation: Incarnation;
  readonly leaving: 'yes' | 'no';
  readonly tags: MemberTags;
  readonly engine: Engine;
  readonly link: StoreLink;
  readonly session: Session;
  readonly peers: PeerSet;
  /** What stands in the data directory. */
  readonly noted: () => Promise<StoreSighting | null>;
  readonly failures: Failures;
  /** Told of each failure of the engine's long work, once. */
  readonly onFailure: (command: string, code: string, message: string) => void;
  readonly runningMs: () => number;
}

export interface Observed {
  readonly observation: Observation;
  readonly details: EngineDetails;
  /** The state of the store that the observation shows. */
  readonly generation: number;
}

/** What the other agents said last, as far as it is fresh enough to decide by. */
function reportsOf(peers: PeerSet): ReadonlyMap<MemberId, MemberReport> {
  const reports = new Map<MemberId, MemberReport>();
  for (const [member, view] of peers.views()) {
    const report = reportOf(view);
    if (report !== null) reports.set(member, report);
  }
  return reports;
}

/** Nothing of a peer that is not fresh, or whose server does not run as a replica. */
export function reportOf(view: PeerView): MemberReport | null {
  if (view.kind !== 'fresh' || view.live.engine.kind !== 'replica') return null;
  const { position, receiver, upstream } = view.live.engine;
  return { position, streamsFrom: receiver.kind === 'streaming' ? upstream : null, silentMs: view.silentMs };
}

/** Asks the engine, then takes the rest as it is at that moment. */
export async function observe(sources: Sources): Promise<Observed> {
  const { engine, link, failures } = sources;
  const { state, details } = await (engine.progress === 'reported'
    ? engine.observe(reportsOf(sources.peers))
    : engine.observe());
  for (const { command, error } of engine.takeFailures()) {
    failures.add(command, error.code, error.message, sources.runningMs());
    sources.onFailure(command, error.code, error.message);
  }
  const noted = await sources.noted();
  const observation: Observation = {
    now: monotonicMs(),
    wallMs: Date.now(),
    self: sources.self,
    incarnation: sources.incarnation,
    ...(sources.leaving === 'yes' ? { leaving: 'yes' } : {}),
    tags: sources.tags,
    engineName: engine.name,
    store: link.view(),
    engine: state,
    job: engine.job(),
    canRewind: engine.canRewind(),
    peers: sources.peers.views(),
    authority: { leaseUntil: sources.session.leaseUntil },
    failures: failures.recent(sources.runningMs()),
    ...(details.kept.held === null ? {} : { copiesHeld: details.kept.held }),
    noted,
  };
  return { observation, details, generation: link.generation };
}
