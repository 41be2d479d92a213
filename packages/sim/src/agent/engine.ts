import type { EngineCommand, EngineJob, EngineState, MemberId, PeerView } from '@understudy/core';
import { reloadRule, ruleIsLoaded } from '../server/acks.ts';
import { requestPromotion, setUpstream, stopServer } from '../server/lifecycle.ts';
import { keepApplying } from '../server/received.ts';
import type { Account, SimServer, Stream } from '../server/server.ts';
import { HEARTBEAT_MS, silenceMs } from '../server/stream.ts';
import { AccountProof } from './account-proof.ts';
import { keepCount } from './ack-count.ts';
import { GtidCommands } from './gtid-commands.ts';
import type { Ending, EngineHost } from './host.ts';
import { Jobs, type Until } from './jobs.ts';
import { Nudge } from './nudge.ts';
import { engineState, indexOf } from './observe.ts';
import { RuleProof } from './rule-proof.ts';

type Promote = Extract<EngineCommand, { kind: 'promote' }>;

const POLL_MS = 10;
const SEAL_DEADLINE_MS = 2000;
const RULE_DEADLINE_MS = 2000;
const PROMOTE_DEADLINE_MS = 5000;
const FOLLOW_MS = 3;
/** Shorter than the real 5 s, during which the real agent goes on sending its beats. */
const STOP_DEADLINE_MS = 300;
/** Shorter than the real engine's 1.5 s, during which the real agent goes on sending its beats: this one says nothing meanwhile. */
const SHORT_OPENING_MS = 500;

/**
 * The engine adapter in an agent's process, as the port describes it: short commands end when their effect is proven, long ones go on
 * as the job. It dies with its agent; the server does not.
 */
export class SimEngine {
  readonly #server: SimServer;
  readonly #host: EngineHost;
  readonly #jobs: Jobs;
  readonly #proof: RuleProof | AccountProof;
  readonly #accounts = new AccountProof();
  readonly #nudge = new Nudge();
  readonly #gtids: GtidCommands | null;
  #runMs = 0;
  #unresponsiveSince: number | null = null;
  #startingSince: number | null = null;
  #heard: { stream: Stream; atRun: number; silentMs: number } | null = null;

  constructor(server: SimServer, host: EngineHost) {
    this.#server = server;
    this.#host = host;
    const until: Until = (deadlineMs, code, holds, done) => this.#until(deadlineMs, code, holds, done);
    this.#jobs = new Jobs(server, host, until);
    const postgres = server.flavour === 'postgres';
    this.#proof = postgres ? new RuleProof() : this.#accounts;
    this.#gtids = postgres ? null : new GtidCommands(server, host, until, this.#accounts);
  }

  /** The present state; `runMs` is the running time of the agent, by which silences are counted. */
  observe(runMs: number, peers: ReadonlyMap<MemberId, PeerView>): EngineState {
    this.#runMs = runMs;
    const server = this.#server;
    const answers = !server.frozen && !server.hung && server.process !== 'stopping';
    if (answers || !server.running) this.#unresponsiveSince = null;
    else this.#unresponsiveSince ??= runMs;
    if (server.process === 'starting') this.#startingSince ??= runMs;
    else this.#startingSince = null;
    if (this.#gtids !== null && server.process === 'primary' && answers) {
      keepCount(server, this.#accounts.rule);
      this.#nudge.consider(server, this.#accounts.rule, runMs);
    }
    return engineState(server, {
      proof: this.#proof,
      peers,
      unresponsiveMs: runMs - (this.#unresponsiveSince ?? runMs),
      startingMs: runMs - (this.#startingSince ?? runMs),
      receiverSilentMs: this.#receiverSilentMs(),
    });
  }

  job(): EngineJob | null {
    return this.#jobs.current(this.#runMs);
  }

  /** The age of the last message, but never more than this agent has been running since it last saw the age fall. */
  #receiverSilentMs(): number {
    const stream = this.#server.receiver;
    if (stream === null) {
      this.#heard = null;
      return 0;
    }
    const silentMs = silenceMs(stream, stream.quietToSink);
    const heard = this.#heard;
    if (heard === null || heard.stream !== stream || silentMs < heard.silentMs) {
      this.#heard = { stream, atRun: this.#runMs - Math.min(silentMs, HEARTBEAT_MS), silentMs };
    } else heard.silentMs = silentMs;
    return Math.round(this.#runMs - (this.#heard?.atRun ?? this.#runMs));
  }

  /** Called every second: a receiver that has to use its other account is connected anew, and the applier is kept going. */
  maintain(account: Account, done: (ending: Ending) => void): void {
    const server = this.#server;
    if (this.#gtids === null || !this.#jobs.idle || server.process !== 'replica' || server.frozen || server.hung) {
      done(null);
      return;
    }
    if (!server.localEndKnown) {
      this.#jobs.settle(done);
      return;
    }
    keepApplying(server);
    const meant = server.noted?.life === server.life ? server.noted.upstream : null;
    if (meant === null) this.#gtids.keepClosed(done);
    else this.#gtids.follow(meant, account, done);
  }

  /** @param account as whom to follow; without effect on PostgreSQL */
  execute(command: EngineCommand, account: Account, done: (ending: Ending) => void): void {
    const refusal = this.#refusal(command);
    if (refusal !== null) {
      done(refusal);
      return;
    }
    switch (command.kind) {
      case 'seal':
        if (this.#gtids !== null && this.#server.process === 'replica') {
          this.#gtids.seal(done);
          break;
        }
        setUpstream(this.#server, null);
        this.#until(SEAL_DEADLINE_MS, 'ENGINE_SEAL_UNPROVEN', () => this.#server.receiver === null, done);
        break;
      case 'follow':
        if (this.#gtids !== null) {
          this.#gtids.follow(indexOf(command.upstream), account, done);
          break;
        }
        setUpstream(this.#server, indexOf(command.upstream));
        this.#host.later(FOLLOW_MS, () => done(null));
        break;
      case 'set-ack-rule':
        if (this.#gtids !== null) {
          this.#gtids.setRule(command.rule, done);
          break;
        }
        reloadRule(this.#server, command.rule);
        this.#until(RULE_DEADLINE_MS, 'ENGINE_RULE_UNPROVEN', () => ruleIsLoaded(this.#server), done);
        break;
      case 'promote':
        if (this.#gtids === null) this.#promote(command, done);
        else this.#open(this.#gtids, command, done);
        break;
      case 'stop':
        this.#stop(command, done);
        break;
      default:
        this.#jobs.begin(command, this.#runMs);
        done(null);
    }
  }

  /** Why a command can not be begun now; null when it can. */
  #refusal(command: EngineCommand): Ending {
    const server = this.#server;
    const silent = server.frozen || server.hung;
    if (!this.#jobs.idle && !(command.kind === 'stop' && command.mode === 'fence')) return 'ENGINE_BUSY';
    switch (command.kind) {
      case 'follow':
        return server.process === 'replica' ? null : 'ENGINE_UNREACHABLE';
      case 'set-ack-rule':
        return server.process === 'primary' ? null : 'ENGINE_UNREACHABLE';
      case 'stop':
        return silent && command.mode !== 'fence' ? 'ENGINE_STOP_TIMEOUT' : null;
      case 'promote':
        return this.#refusalToPromote(command);
      default:
        return null;
    }
  }

  #refusalToPromote(command: Promote): Ending {
    const server = this.#server;
    if (this.#host.localNow() > command.notAfter) return 'ENGINE_DECISION_STALE';
    if (server.process === 'primary' && server.epoch === command.epoch) return null;
    if (server.process !== 'replica' || server.frozen || server.hung) return 'ENGINE_UNREACHABLE';
    return server.localEndKnown ? null : 'ENGINE_PROMOTE_FAILED';
  }

  #stop(command: Extract<EngineCommand, { kind: 'stop' }>, done: (ending: Ending) => void): void {
    if (command.mode === 'fence') {
      this.#jobs.abandon();
      stopServer(this.#server, 'fence');
      if (this.#server.running) {
        this.#host.later(STOP_DEADLINE_MS, () => done('ENGINE_STOP_TIMEOUT'));
        return;
      }
    } else if (this.#server.running) this.#jobs.begin(command, this.#runMs);
    done(null);
  }

  #promote(command: Promote, done: (ending: Ending) => void): void {
    const server = this.#server;
    if (server.process === 'primary') {
      done(null);
      return;
    }
    reloadRule(server, command.rule);
    this.#until(
      RULE_DEADLINE_MS,
      'ENGINE_RULE_UNPROVEN',
      () => ruleIsLoaded(server),
      (ending) => {
        const stale = this.#host.localNow() > command.notAfter ? 'ENGINE_DECISION_STALE' : null;
        if (ending !== null || stale !== null) {
          done(ending ?? stale);
          return;
        }
        requestPromotion(server, command.epoch, command.timeline);
        this.#until(PROMOTE_DEADLINE_MS, 'ENGINE_PROMOTE_FAILED', () => server.process === 'primary', done);
      },
    );
  }

  /** An opening that has much to apply first goes on as a job, so that the agent stays awake. */
  #open(gtids: GtidCommands, command: Promote, done: (ending: Ending) => void): void {
    let end: ((ending: Ending) => void) | null = done;
    gtids.promote(command, (ending) => {
      const told = end;
      end = null;
      told?.(ending);
    });
    this.#host.later(SHORT_OPENING_MS, () => {
      if (end === null) return;
      end = this.#jobs.goOn('promote', this.#runMs);
      done(null);
    });
  }

  #until(deadlineMs: number, code: string, holds: () => boolean, done: (ending: Ending) => void): void {
    const began = this.#host.localNow();
    const look = (): void => {
      if (holds()) done(null);
      else if (this.#host.localNow() - began > deadlineMs) done(code);
      else this.#host.later(POLL_MS, look);
    };
    this.#host.later(1, look);
  }
}
