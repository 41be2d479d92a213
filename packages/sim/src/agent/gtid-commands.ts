import { type AckRule, type EngineCommand, timelineOf } from '@understudy/core';
import { lockOthers, unlock } from '../server/accounts.ts';
import { openOnLine, setUpstream, writeMarker } from '../server/lifecycle.ts';
import { dropRelayLog, isDrained, keepApplying } from '../server/received.ts';
import { isCountable, requireAcks } from '../server/semi-sync.ts';
import type { Account, SimServer } from '../server/server.ts';
import { toPosition } from '../wal/position.ts';
import { type AccountProof, countsBy } from './account-proof.ts';
import type { Ending, EngineHost } from './host.ts';
import type { Until } from './jobs.ts';
import { nameOf } from './observe.ts';

/** As the server shows it: no thread receives or tries to. */
const isCut = (server: SimServer): boolean => server.receiver === null && server.configuredUpstream === null;

type Promote = Extract<EngineCommand, { kind: 'promote' }>;
type Done = (ending: Ending) => void;
/** One step of a command: goes on with `next`, or ends the command with `done`. */
type Step = (next: () => void, done: Done) => void;

const STATEMENT_DEADLINE_MS = 4000;
const STOP_RECEIVER_MS = 2000;
/** How long a new source waits for the applier where everything must be applied before it. */
const FOLLOW_DRAIN_MS = 1000;
const PROMOTE_DRAIN_MS = 55_000;

/** The commands of the MySQL and MariaDB engine that differ from PostgreSQL's: sequences of statements, each of which may be the last. */
export class GtidCommands {
  readonly #server: SimServer;
  readonly #host: EngineHost;
  readonly #until: Until;
  readonly #proof: AccountProof;

  constructor(server: SimServer, host: EngineHost, until: Until, proof: AccountProof) {
    this.#server = server;
    this.#host = host;
    this.#until = until;
    this.#proof = proof;
  }

  /** Who is not in the rule is locked out first; only then others are let in. */
  setRule(rule: AckRule, done: Done): void {
    const server = this.#server;
    if (this.#proof.state(server).running === rule) {
      done(null);
      return;
    }
    if (!isCountable(server, rule.required)) {
      done('ENGINE_RULE_UNPROVEN');
      return;
    }
    this.#proof.forget();
    this.#run([...this.#installation(rule), this.#proven(rule)], done);
  }

  /** Everything received is applied before the line is begun, and the rule is in force before anybody writes. */
  promote(command: Promote, done: Done): void {
    const server = this.#server;
    if (server.process === 'primary') {
      done(null);
      return;
    }
    if (!isCountable(server, command.rule.required)) {
      done('ENGINE_RULE_UNPROVEN');
      return;
    }
    if (!this.#isNewLine(command.timeline)) {
      done('ENGINE_PROMOTE_FAILED');
      return;
    }
    this.#proof.forget();
    this.#run(
      [
        ...this.#receiverStopped(),
        this.#drained(PROMOTE_DRAIN_MS, 'ENGINE_PROMOTE_FAILED'),
        this.#statement(() => dropRelayLog(server), 'everything received is applied; the relay log may go'),
        (next, end) => (this.#host.localNow() > command.notAfter ? end('ENGINE_DECISION_STALE') : next()),
        this.#noted(null),
        this.#statement(
          () => writeMarker(server, command.timeline),
          `the marker of line ${command.timeline} is written`,
        ),
        this.#noted(command.epoch),
        ...this.#installation(command.rule),
        this.#proven(command.rule),
        this.#statement(() => openOnLine(server, command.epoch), 'open for writes'),
        (next, end) => (server.process === 'primary' ? next() : end('ENGINE_PROMOTE_FAILED')),
      ],
      done,
    );
  }

  /** Receives from `upstream` under `account`. No relay log is thrown away: where the server would do that, everything is applied first. */
  follow(upstream: number, account: Account, done: Done): void {
    const server = this.#server;
    if (server.configuredUpstream === upstream && server.account === account) {
      keepApplying(server);
      this.#run([this.#meant(upstream)], done);
      return;
    }
    const settled = server.flavour === 'mariadb' ? [this.#drained(FOLLOW_DRAIN_MS, 'ENGINE_BUSY')] : [];
    // In the data directory, before anything can arrive.
    server.opened = null;
    const change = this.#statement(() => {
      if (server.process !== 'replica') return;
      if (server.flavour === 'mariadb') dropRelayLog(server);
      server.account = account;
      setUpstream(server, upstream);
      keepApplying(server);
    });
    this.#run([...this.#receiverStopped(), ...this.#closed(), ...settled, this.#meant(upstream), change], done);
  }

  /** Nothing is received any more, and nothing is counted. */
  seal(done: Done): void {
    this.#run([...this.#receiverStopped(), ...this.#closed()], done);
  }

  /** Called every second on a replica that nobody is to be followed by: what somebody else has switched on there goes off again. */
  keepClosed(done: Done): void {
    this.#run(this.#closed(), done);
  }

  /** A replica does not count, or its applier would wait for acknowledgements: see `commands/keep-closed.ts`. */
  #closed(): readonly Step[] {
    const server = this.#server;
    if (server.process !== 'replica' || !server.waitsForStandbys) return [];
    return [
      this.#statement(() => requireAcks(server, 0), 'counting of acknowledgements, switched on by somebody, is off'),
    ];
  }

  /** Noted before anything is received. */
  #meant(upstream: number): Step {
    const server = this.#server;
    return (next) => {
      server.noted = { life: server.life, upstream };
      next();
    };
  }

  /** Noted after the cut is proven: whoever comes next must know until then that there is something to cut. */
  #meantNobody(): Step {
    const server = this.#server;
    return (next) => {
      server.noted = null;
      next();
    };
  }

  #isNewLine(timeline: number): boolean {
    const { branch, lsn } = this.#server;
    return branch !== null && (timelineOf(toPosition(branch, lsn)) ?? 0) < timeline;
  }

  /** In the data directory: nothing before the marker, and before the first write this leadership; an older note must not stand for it. */
  #noted(opened: Promote['epoch'] | null): Step {
    return (next) => {
      this.#server.opened = opened;
      next();
    };
  }

  #installation(rule: AckRule): readonly Step[] {
    const server = this.#server;
    const names = rule.members.map((member) => `us_ack_${member}`).join(', ') || 'none';
    return [
      this.#statement(() => lockOthers(server, rule.members), `accounts locked and cut off, all but ${names}`),
      this.#statement(() => requireAcks(server, rule.required), `commits wait for ${rule.required} acknowledgements`),
      this.#statement(() => unlock(server, rule.members), `accounts let in: ${names}`),
    ];
  }

  #proven(rule: AckRule): Step {
    return (next, end) => {
      if (!countsBy(this.#server, rule)) {
        end('ENGINE_RULE_UNPROVEN');
        return;
      }
      this.#proof.prove(this.#server, rule);
      next();
    };
  }

  #receiverStopped(): readonly Step[] {
    const server = this.#server;
    return [
      this.#statement(() => setUpstream(server, null)),
      (next, end) => this.#wait(STOP_RECEIVER_MS, 'ENGINE_SEAL_UNPROVEN', () => isCut(server), next, end),
      this.#meantNobody(),
    ];
  }

  #drained(deadlineMs: number, code: string): Step {
    const server = this.#server;
    return (next, end) => {
      keepApplying(server);
      if (!isDrained(server)) this.#tell('what was received is still being applied');
      this.#wait(deadlineMs, code, () => isDrained(server), next, end);
    };
  }

  #wait(deadlineMs: number, code: string, holds: () => boolean, next: () => void, end: Done): void {
    this.#until(deadlineMs, code, holds, (ending) => (ending === null ? next() : end(ending)));
  }

  #tell(what: string): void {
    const { world, index } = this.#server;
    if (world.trace.on) world.trace.note(nameOf(index), `    ${what}`);
  }

  /**
   * Sent over a connection that exists: a server that is frozen carries it out when it thaws, whoever still waits for it.
   *
   * @param told what a transcript says of it
   */
  #statement(effect: () => void, told: string | null = null): Step {
    const server = this.#server;
    return (next, end) => {
      const { life } = server;
      let carriedOut = false;
      this.#host.later(server.world.random.between(0.2, 3), () => {
        server.runIn(life, () => {
          effect();
          if (told !== null) this.#tell(told);
          carriedOut = true;
        });
        if (carriedOut) next();
        else this.#wait(STATEMENT_DEADLINE_MS, 'ENGINE_TIMEOUT', () => carriedOut, next, end);
      });
    };
  }

  /** One step after the other, as long as the server that the command began with runs. */
  #run(steps: readonly Step[], done: Done): void {
    const { life } = this.#server;
    const go = (index: number): void => {
      const step = steps[index];
      if (step === undefined) done(null);
      else if (this.#server.life !== life) done('ENGINE_UNREACHABLE');
      else step(() => go(index + 1), done);
    };
    go(0);
  }
}
