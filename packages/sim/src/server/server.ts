import {
  type AckRule,
  ALONE,
  type Epoch,
  type MemberId,
  type StoreContent,
  type StoreMark,
  type SystemId,
} from '@understudy/core';
import type { NodeIndex, SimNet } from '../net/net.ts';
import type { Trace } from '../run/trace.ts';
import type { Random } from '../time/random.ts';
import type { Scheduler } from '../time/scheduler.ts';
import type { Branch } from '../wal/branch.ts';
import type { Flavour } from './flavour.ts';

/** `shortened`: cut back, and not all that was acknowledged was there before. */
export type CopyChange = 'moved-aside' | 'rewound' | 'relay log dropped' | 'cut back' | 'shortened';

/** What the checks want to know of the servers. */
export interface ServerObserver {
  /** A server has opened for writes. */
  onOpen(server: SimServer): void;
  /** Commits up to `lsn` were acknowledged to clients. */
  onAck(server: SimServer, lsn: number): void;
  /** What counts as an acknowledgement may have changed: a rule was loaded, a standby came or went. */
  onRules(server: SimServer): void;
  /** A receiver has connected. */
  onReceiver(server: SimServer): void;
  /** A copy was replaced or cut back. */
  onCopyChanged(server: SimServer, how: CopyChange): void;
  /** Whether this server holds everything that was acknowledged. */
  holdsAll(server: SimServer): boolean;
}

/** What every server shares. */
export interface ServerWorld {
  readonly flavour: Flavour;
  readonly scheduler: Scheduler;
  readonly net: SimNet;
  readonly random: Random;
  readonly servers: readonly SimServer[];
  readonly observer: ServerObserver;
  readonly trace: Trace;
  /** Silence after which either end of a replication stream gives it up. */
  readonly streamTimeoutMs: number;
  /** Size of the log of a new database. */
  readonly startLsn: number;
  nextId(): number;
}

/** Troubles of one host that faults move. */
export interface ServerTrouble {
  diskFull: number;
  /** Flushes take this much longer. */
  slowDiskMs: number;
  /** PostgreSQL: reloads of settings reach each process of the server up to this much later. MySQL, MariaDB: the applier is that slow. */
  slowReloadMs: number;
  /** Nobody can replicate from it: no connection is taken, none lives on. */
  unreachable: number;
  /** It runs, and cannot be opened for writes. */
  cannotOpen: number;
  /** Signals do not end it: its processes wait for a disk. */
  unkillable: number;
}

/** `stopping` refuses writes but still sends its log. */
export type ServerProcess = 'down' | 'starting' | 'replica' | 'primary' | 'stopping';

/** The account of a replication connection (MySQL, MariaDB): only the acknowledger's own one acknowledges. */
export type Account = 'ack' | 'copy';

/** One replication connection: a walsender on `source`, a walreceiver on `sink`; each end may outlive the other. */
export interface Stream {
  readonly source: SimServer;
  readonly sink: SimServer;
  readonly sourceLife: number;
  readonly sinkLife: number;
  readonly openedAt: number;
  readonly phaseMs: number;
  readonly account: Account;
  /** PostgreSQL: made by a connection string of somebody's own, under the member's plain name and without its slot. */
  readonly byHand: boolean;
  senderAlive: boolean;
  receiverAlive: boolean;
  inFlight: boolean;
  /** Has once sent everything there was: only then do its replies count. */
  caughtUp: boolean;
  sentBranch: Branch;
  sentLsn: number;
  /** What the sink has confirmed, as the source knows. */
  confirmedBranch: Branch;
  confirmedLsn: number;
  /** A reply that a cut link holds back. */
  held: { readonly branch: Branch; readonly lsn: number } | null;
  /** The acknowledgement rule as *this* walsender has loaded it. */
  loaded: AckRule;
  /** Since when nothing gets through to the one or the other end; null while it does. */
  quietToSink: number | null;
  quietToSource: number | null;
}

/**
 * One database server: data directory and processes. It lives apart from its agent: it goes on writing, sending and acknowledging
 * while the agent is frozen or dead, and does what it was told last.
 */
export class SimServer {
  readonly index: NodeIndex;
  readonly world: ServerWorld;

  // The data directory: survives the process.
  disk: 'absent' | 'incomplete' | 'data' = 'absent';
  systemId: SystemId | null = null;
  branch: Branch | null = null;
  /** End of the durable log. What was received but not flushed does not exist here: a crash would lose it. */
  lsn = 0;
  shutdown: 'clean' | 'crashed' = 'clean';
  /** Log before this point is gone. */
  removedBelow = 0;
  configuredUpstream: NodeIndex | null = null;
  /** Whose channel it was last told of: it stays configured when its receiver is stopped. */
  lastUpstream: NodeIndex | null = null;
  configuredRule: AckRule = ALONE;
  /** The new timeline is in the control file: before that, rewinding from here does nothing. */
  checkpointed = false;
  /** MySQL, MariaDB: everything up to here is applied; what was received beyond it is in the relay log only. */
  appliedLsn = 0;
  /** MariaDB: what its tables surely hold after a crash; its log may have more, committed or not. */
  tablesLsn = 0;
  /** MariaDB: the last leadership for which its engine noted that this data is opened; null once anything may have been received. */
  opened: Epoch | null = null;
  /** MySQL, MariaDB: which copy of the data this is; each new one writes under a name of its own. */
  copyName = '';
  copies = 0;
  /** MySQL, MariaDB: whose acknowledger's accounts are not locked here. */
  unlocked: ReadonlySet<MemberId> = new Set();

  /** What the agent has noted in the data directory, with the store as it was then. */
  note: { readonly mark: StoreMark; readonly content: StoreContent } | null = null;

  /** What the agent remembers beside the data directory. */
  memory: StoreMark | null = null;

  // The processes.
  process: ServerProcess = 'down';
  hostUp = true;
  /** Grows with every start and every end of the processes: what belongs to an earlier life never runs. */
  life = 0;
  epoch: Epoch | null = null;
  localEndKnown = false;
  /** The rule as the postmaster, which forks the walsenders, knows it. */
  postmasterRule: AckRule = ALONE;
  /** Whether commits wait for standbys at all: set by the checkpointer when it reloads. */
  waitsForStandbys = false;
  checkpointerRule: AckRule = ALONE;
  receiver: Stream | null = null;
  receiverTrouble: 'unknown' | 'refused' | 'wal-removed' | 'history' | 'slot' | 'login' = 'unknown';
  connectPlanned = false;
  readonly senders: Stream[] = [];
  /** Ends of commits that wait for standbys, in order. */
  waiters: number[] = [];
  /** MySQL, MariaDB: as whom the receiver logs in. */
  account: Account = 'copy';
  /** MySQL, MariaDB: how many acknowledgements a commit waits for, if it waits (`waitsForStandbys`). */
  requiredAcks = 0;
  /** MySQL: how far each replica has acknowledged. The server does not forget it when the replica goes. */
  readonly acknowledged = new Map<MemberId, number>();
  /** MySQL, MariaDB: replicas of somebody else that acknowledge here, and how far they have. */
  strangers = 0;
  strangersLsn = 0;
  /** MySQL, MariaDB: commits up to here are done, and part of a copy. */
  committedLsn = 0;
  applying: 'no' | 'planned' = 'no';
  promotion: { readonly epoch: Epoch; readonly timeline: number } | null = null;
  lastFlushAt = 0;
  /**
   * MySQL, MariaDB: what agents noted of these processes, in a file beside them: whom they follow. It says what was meant; the server knows
   * nothing of it.
   */
  noted: { readonly life: number; readonly upstream: NodeIndex } | null = null;
  /** PostgreSQL: the connection string that is in force is not the agent's. */
  conninfoByHand = false;
  /** PostgreSQL: this copy was opened by somebody else, on a number that another line may get: nothing that it says of itself counts. */
  spoiled = false;
  /** MySQL, MariaDB: somebody else has switched `read_only` on. Privileged clients go on writing. */
  closedByHand = false;

  readonly trouble: ServerTrouble = {
    diskFull: 0,
    slowDiskMs: 0,
    slowReloadMs: 0,
    unreachable: 0,
    cannotOpen: 0,
    unkillable: 0,
  };
  #frozen = 0;
  #hung = 0;
  #deferred: (() => void)[] = [];
  #listener: () => void = () => {};
  #sender: () => void = () => {};

  constructor(index: NodeIndex, world: ServerWorld) {
    this.index = index;
    this.world = world;
  }

  get flavour(): Flavour {
    return this.world.flavour;
  }

  get running(): boolean {
    return this.process !== 'down';
  }

  get frozen(): boolean {
    return this.#frozen > 0;
  }

  /** New connections get no answer; what is connected goes on working. */
  get hung(): boolean {
    return this.#hung > 0;
  }

  /** Who wants to be told at once when something changes: the agent beside it. */
  onChange(listener: () => void): void {
    this.#listener = listener;
  }

  /** Who sends on what the server can send now. */
  onPassOn(sender: () => void): void {
    this.#sender = sender;
  }

  /** There is more to send than before. */
  passOn(): void {
    if (this.senders.length > 0) this.#sender();
  }

  changed(): void {
    this.#listener();
  }

  /** Plans an action of this server's processes: it does not happen if they end first, and waits while they are stopped by a signal. */
  later(delayMs: number, action: () => void): void {
    if (this.process === 'down') return;
    const life = this.life;
    this.world.scheduler.after(delayMs, () => {
      this.runIn(life, action);
    });
  }

  /** Runs `action` now if the processes of `life` still live, after the thaw if they are frozen. */
  runIn(life: number, action: () => void): void {
    if (life !== this.life) return;
    if (this.#frozen > 0) this.#deferred.push(() => this.runIn(life, action));
    else action();
  }

  freeze(): void {
    this.#frozen += 1;
  }

  thaw(): void {
    this.#frozen -= 1;
    if (this.#frozen > 0) return;
    const deferred = this.#deferred;
    this.#deferred = [];
    for (const action of deferred) action();
  }

  shiftHung(delta: 1 | -1): void {
    this.#hung += delta;
  }

  /** Forgets what the ended processes had planned. */
  endLife(): void {
    this.life += 1;
    this.#deferred = [];
    this.#frozen = 0;
    this.#hung = 0;
  }

  /** How long the next flush takes; flushes end in the order in which they began. */
  flushDelayMs(): number {
    const { scheduler, random } = this.world;
    const took = 0.3 + random.next() + this.trouble.slowDiskMs * random.next();
    const at = Math.max(scheduler.now + took, this.lastFlushAt);
    this.lastFlushAt = at;
    return at - scheduler.now;
  }
}
