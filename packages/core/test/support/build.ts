/**
 * Readable observations. The world that everything starts from: members n1, n2, n3; n1 leads epoch 5 on timeline 5, open since
 * 4100; any 1 of (n2, n3) acknowledge; every log ends at 4500; this node is n2, a replica that streams from n1.
 */
import {
  type AckRule,
  ackRule,
  type ClusterConfig,
  type Command,
  type Commit,
  DEFAULT_CONFIG,
  DEFAULT_TAGS,
  type Decision,
  decide,
  EMPTY_MEMORY,
  type EngineState,
  type Epoch,
  epoch,
  type Incarnation,
  incarnation,
  type LeadershipRecord,
  type LiveState,
  type Member,
  type MemberId,
  type MemberTags,
  type Memory,
  memberId,
  ms,
  type Observation,
  type OperatorRequest,
  type PeerView,
  type Position,
  type ReplicaProgress,
  type Revision,
  revision,
  type Seal,
  type StoreContent,
  systemId,
  type Versioned,
} from '../../src/index.ts';
import { at } from './positions.ts';

export const n1 = memberId('n1');
export const n2 = memberId('n2');
export const n3 = memberId('n3');
export const n4 = memberId('n4');
export const n5 = memberId('n5');
export const THREE = [n1, n2, n3] as const;

export const NOW = 100_000;
export const SYSTEM = systemId('7000000000000000001');
export const RECORD_REVISION = revision(50);

/** The incarnation of the agent that runs on `member` now. */
export const process1 = (member: MemberId): Incarnation => incarnation(`${member}.1`);

export const any = (required: number, ...members: readonly MemberId[]): AckRule => ackRule(members, required);

export function versioned<T>(value: T, at: Revision = revision(10)): Versioned<T> {
  return { value, revision: at };
}

export function record(change: Partial<LeadershipRecord> = {}): LeadershipRecord {
  return {
    epoch: epoch(5),
    leader: n1,
    incarnation: process1(n1),
    phase: 'open',
    timeline: 5,
    rule: any(1, n2, n3),
    nextRule: null,
    chosenAt: at(4, 4000),
    opened: at(5, 4100),
    durability: 'sync',
    cause: 'leader-lost',
    ...change,
  };
}

export const tags = (change: Partial<MemberTags> = {}): MemberTags => ({ ...DEFAULT_TAGS, ...change });

export function member(id: MemberId, change: Partial<MemberTags> = {}): Member {
  return { id, apiUrl: `http://127.0.0.1:8008/${id}`, host: '127.0.0.1', port: 5432, tags: tags(change) };
}

export function seal(position: Position, change: Partial<Seal> = {}): Seal {
  return { epoch: epoch(5), incarnation: incarnation('any'), position, ...change };
}

export interface StoreChange {
  readonly members?: readonly (MemberId | Member)[];
  readonly sessions?: readonly MemberId[];
  readonly record?: Partial<LeadershipRecord> | null;
  readonly config?: Partial<ClusterConfig>;
  readonly identity?: StoreContent['identity'];
  readonly seals?: Readonly<Record<string, Seal>>;
  readonly request?: OperatorRequest | null;
  readonly paused?: boolean;
}

export function content(change: StoreChange = {}): StoreContent {
  const members = (change.members ?? THREE).map((each) => (typeof each === 'string' ? member(each) : each));
  const sessions = change.sessions ?? members.map((each) => each.id);
  return {
    identity:
      change.identity !== undefined
        ? change.identity
        : versioned({ state: 'founded', by: n1, incarnation: process1(n1), systemId: SYSTEM, engine: 'postgres' }),
    // Fixed here, so that the instants in the tests do not move with the defaults.
    config: versioned({ ...DEFAULT_CONFIG, suspectAfterMs: 1000, leaseTtlMs: 6000, ...change.config }),
    record: change.record === null ? null : versioned(record(change.record), RECORD_REVISION),
    members: new Map(members.map((each) => [each.id, each])),
    sessions: new Map(sessions.map((id) => [id, versioned(process1(id), revision(20))])),
    seals: new Map(
      Object.entries(change.seals ?? {}).map(([id, value], index) => [
        memberId(id),
        versioned(value, revision(60 + index)),
      ]),
    ),
    request: change.request === undefined || change.request === null ? null : versioned(change.request, revision(70)),
    paused: change.paused ?? false,
  };
}

type StateOf<Kind extends EngineState['kind']> = Extract<EngineState, { readonly kind: Kind }>;

export function replica(change: Partial<StateOf<'replica'>> = {}): StateOf<'replica'> {
  const position = change.position === undefined ? at(5, 4500) : change.position;
  return {
    kind: 'replica',
    systemId: SYSTEM,
    position,
    replayed: position ?? at(5, 4100),
    upstream: n1,
    receiver: { kind: 'streaming', silentMs: 0 },
    ...change,
  };
}

/** A replica whose receiver is cut and gone. */
export function cut(position: Position | null = at(5, 4500)): StateOf<'replica'> {
  return replica({ position, upstream: null, receiver: { kind: 'none' } });
}

/** A replica that still has its upstream configured, but no stream. */
export function disconnected(position: Position | null = at(5, 4500)): StateOf<'replica'> {
  return replica({ position, receiver: { kind: 'broken', cause: 'unknown' } });
}

export function confirmed(id: MemberId, change: Partial<ReplicaProgress> = {}): ReplicaProgress {
  return { member: id, kind: 'streaming', confirmed: at(5, 4500), silentMs: 0, ...change };
}

export function primary(change: Partial<StateOf<'primary'>> = {}): StateOf<'primary'> {
  return {
    kind: 'primary',
    systemId: SYSTEM,
    position: at(5, 4500),
    acks: { running: any(1, n2, n3), barrier: at(5, 4110) },
    replicas: [confirmed(n2), confirmed(n3)],
    ...change,
  };
}

export function stopped(shutdown: 'clean' | 'crashed', position: Position | null = null): StateOf<'stopped'> {
  return { kind: 'stopped', shutdown, position, systemId: SYSTEM };
}

export const starting: EngineState = { kind: 'starting', sinceMs: 100 };
export const absent: EngineState = { kind: 'absent' };
export const incomplete: EngineState = { kind: 'incomplete' };

export function live(id: MemberId, engine: EngineState, change: Partial<LiveState> = {}): LiveState {
  return {
    member: id,
    incarnation: process1(id),
    epoch: epoch(5),
    engine,
    suspects: null,
    leaderPosition: null,
    ...change,
  };
}

export function fresh(id: MemberId, engine: EngineState, change: Partial<LiveState> = {}): PeerView {
  return { kind: 'fresh', live: live(id, engine, change), silentMs: 0 };
}

export const silent = (silentMs: number): PeerView => ({ kind: 'silent', last: null, silentMs });
export const refusing = (forMs: number): PeerView => ({ kind: 'refusing', last: null, forMs });

/** What a peer says when it takes the leader of epoch 5 for dead. */
export const suspecting = (id: MemberId, engine: EngineState = disconnected()): PeerView =>
  fresh(id, engine, { suspects: epoch(5) });

export interface ObservationChange extends Partial<Omit<Observation, 'peers' | 'store'>> {
  readonly peers?: Readonly<Record<string, PeerView>>;
  readonly store?: StoreChange | Observation['store'];
}

/** An observation of node `self` (n2 unless told); peers not named are well and do what the record says of them. */
export function observation(change: ObservationChange = {}): Observation {
  const self = change.self ?? n2;
  const { store, peers, ...rest } = change;
  const view: Observation['store'] =
    store !== undefined && 'kind' in store ? store : { kind: 'current', content: content(store) };
  return {
    now: ms(NOW),
    wallMs: 1_700_000_000_000,
    incarnation: process1(self),
    tags: tags(),
    engineName: 'postgres',
    engine: self === n1 ? primary() : replica(),
    job: null,
    canRewind: 'yes',
    authority: { leaseUntil: ms(NOW + 5000) },
    failures: [],
    ...rest,
    self,
    store: view,
    peers: peersOf(self, view, peers ?? {}),
  };
}

function peersOf(
  self: MemberId,
  view: Observation['store'],
  named: Readonly<Record<string, PeerView>>,
): ReadonlyMap<MemberId, PeerView> {
  const members = view.kind === 'never' ? THREE : [...view.content.members.keys()];
  const leader = view.kind === 'never' ? n1 : (view.content.record?.value.leader ?? null);
  return new Map(
    members
      .filter((id) => id !== self)
      .map((id) => [id, named[id] ?? fresh(id, id === leader ? primary() : replica())] as const),
  );
}

export const stale = (change: StoreChange = {}, silentMs = 5000): Observation['store'] => ({
  kind: 'stale',
  content: content(change),
  silentMs,
});

export const memory = (change: Partial<Memory> = {}): Memory => ({ ...EMPTY_MEMORY, ...change });

/** One decision on one observation. */
export function decideOn(change: ObservationChange, remembered: Partial<Memory> = {}): Decision {
  return decide(observation(change), memory(remembered));
}

export const codeOf = (decision: Decision): string => decision.reasons[0]?.code ?? '(none)';

/** The kinds of the decision's commands, commits by their purpose. */
export const kindsOf = (decision: Decision): readonly string[] =>
  decision.commands.map((command) => (command.kind === 'commit' ? `commit: ${command.purpose}` : command.kind));

export function commitOf(decision: Decision): Commit {
  const found = decision.commands.find((command) => command.kind === 'commit');
  if (found === undefined) throw new Error(`no commit in: ${kindsOf(decision).join(', ')} (${codeOf(decision)})`);
  return found;
}

export function commandOf<Kind extends Command['kind']>(
  decision: Decision,
  kind: Kind,
): Extract<Command, { readonly kind: Kind }> {
  const found = decision.commands.find((command) => command.kind === kind);
  if (found === undefined) throw new Error(`no ${kind} in: ${kindsOf(decision).join(', ')} (${codeOf(decision)})`);
  return found as Extract<Command, { readonly kind: Kind }>;
}

/** The record that a decision commits. */
export function recordIn(decision: Decision): LeadershipRecord {
  for (const put of commitOf(decision).put) if (put.key === 'record') return put.value;
  throw new Error('the commit writes no record');
}

export const EPOCH_5: Epoch = epoch(5);
