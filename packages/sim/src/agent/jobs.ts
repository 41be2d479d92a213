import { type EngineCommand, type EngineJob, systemId } from '@understudy/core';
import { initialize, installCopy, rewindTo, startFenced, stopServer } from '../server/lifecycle.ts';
import { dropRelayLog, keepApplying } from '../server/received.ts';
import type { SimServer } from '../server/server.ts';
import type { Ending, EngineHost } from './host.ts';
import { recoveryOf } from './log-end.ts';
import { indexOf } from './observe.ts';

const COPY_POLL_MS = 200;
const REWIND_FAILS = 0.1;
const SETTLE_DEADLINE_MS = 10_000;

/** Calls back when `holds` is so, or with `code` after `deadlineMs`. */
export type Until = (deadlineMs: number, code: string, holds: () => boolean, done: (ending: Ending) => void) => void;

/** The long commands of an engine: they begin at once and end by themselves, one at a time, and die with the agent that began them. */
export class Jobs {
  readonly #server: SimServer;
  readonly #host: EngineHost;
  readonly #until: Until;
  #running: { readonly kind: EngineJob['kind']; readonly since: number } | null = null;

  constructor(server: SimServer, host: EngineHost, until: Until) {
    this.#server = server;
    this.#host = host;
    this.#until = until;
  }

  get idle(): boolean {
    return this.#running === null;
  }

  current(runMs: number): EngineJob | null {
    const job = this.#running;
    return job === null ? null : { kind: job.kind, sinceMs: runMs - job.since, progress: null };
  }

  /** The job is no longer waited for: its server was stopped at once. */
  abandon(): void {
    this.#running = null;
  }

  /** A command that takes longer than a moment goes on as a job. @returns what to call at its end */
  goOn(kind: 'promote', runMs: number): (ending: Ending) => void {
    const job = { kind, since: runMs } as const;
    this.#running = job;
    return (ending) => {
      if (this.#running === job) this.#end(kind, ending);
    };
  }

  begin(command: EngineCommand, runMs: number): void {
    switch (command.kind) {
      case 'initialize':
        this.#initialize(runMs);
        break;
      case 'start':
        this.#start('start', runMs, recoveryOf(this.#server, command.end));
        break;
      case 'restart':
        stopServer(this.#server, 'fence');
        this.#start('restart', runMs, 'whole');
        break;
      case 'stop':
        this.#stop(command.mode, runMs);
        break;
      case 'clone':
        this.#clone(indexOf(command.from), runMs);
        break;
      case 'rewind':
        this.#rewind(indexOf(command.from), runMs);
        break;
      default:
        this.#checkpoint(command.kind, runMs);
    }
  }

  #stop(mode: 'handover' | 'fence' | 'orderly', runMs: number): void {
    const server = this.#server;
    this.#running = { kind: 'stop', since: runMs };
    stopServer(server, mode);
    const deadlineMs = mode === 'handover' ? 8000 : 5000;
    this.#until(
      deadlineMs,
      'ENGINE_STOP_TIMEOUT',
      () => !server.running,
      (ending) => this.#end('stop', ending),
    );
  }

  #initialize(runMs: number): void {
    const server = this.#server;
    const { random, scheduler } = server.world;
    this.#running = { kind: 'initialize', since: runMs };
    if (server.disk === 'data') {
      this.#end('initialize', 'ENGINE_DATA_REFUSED');
      return;
    }
    server.disk = 'incomplete';
    this.#host.later(random.between(300, 1500), () => {
      if (server.trouble.diskFull > 0) {
        this.#end('initialize', 'ENGINE_DISK_FULL');
        return;
      }
      initialize(server, systemId(`sys-${server.world.nextId()}-${Math.floor(scheduler.now)}`));
      this.#end('initialize', null);
    });
  }

  #start(command: string, runMs: number, recovery: 'whole' | 'cut'): void {
    const server = this.#server;
    this.#running = { kind: 'start', since: runMs };
    if (server.running) this.#end(command, null);
    else if (server.disk !== 'data') this.#end(command, 'ENGINE_START_FAILED');
    else if (server.trouble.diskFull > 0) this.#end(command, 'ENGINE_DISK_FULL');
    else {
      startFenced(server, recovery);
      this.#until(
        60_000,
        'ENGINE_START_FAILED',
        () => server.process !== 'starting',
        (ending) => {
          if (ending !== null || !server.running || server.flavour !== 'mariadb') {
            this.#end(command, server.running ? ending : 'ENGINE_START_FAILED');
          } else this.settle((settled) => this.#end(command, settled));
        },
      );
    }
  }

  /** MariaDB: what a crash left in the relay log is applied before replication is started in any way, for then it is deleted. */
  settle(done: (ending: Ending) => void): void {
    const server = this.#server;
    const { life } = server;
    if (server.flavour !== 'mariadb' || server.localEndKnown) {
      done(null);
      return;
    }
    const { random } = server.world;
    this.#host.later(random.between(5, 200) + random.next() * server.trouble.slowReloadMs, () => {
      server.runIn(life, () => {
        server.appliedLsn = server.lsn;
      });
      this.#host.later(random.between(1, 10), () => {
        server.runIn(life, () => startReplication(server));
        this.#until(
          SETTLE_DEADLINE_MS,
          'ENGINE_START_FAILED',
          () => server.localEndKnown || server.life !== life,
          done,
        );
      });
    });
  }

  #checkpoint(command: string, runMs: number): void {
    const server = this.#server;
    this.#running = { kind: 'checkpoint', since: runMs };
    this.#host.later(server.world.random.between(20, 300), () => {
      if (server.process === 'primary') server.checkpointed = true;
      this.#end(command, null);
    });
  }

  #clone(from: number, runMs: number): void {
    const server = this.#server;
    this.#running = { kind: 'clone', since: runMs };
    stopServer(server, 'fence');
    const source = server.world.servers[from];
    if (source === undefined || !this.#reaches(source)) {
      this.#end('clone', 'ENGINE_CLONE_FAILED');
      return;
    }
    server.disk = 'incomplete';
    server.world.observer.onCopyChanged(server, 'moved-aside');
    this.#copy(source, source.life, server.world.scheduler.now + server.world.random.between(500, 6000));
  }

  #copy(source: SimServer, life: number, readyAt: number): void {
    const server = this.#server;
    this.#host.later(COPY_POLL_MS, () => {
      if (!this.#reaches(source) || source.life !== life || server.trouble.diskFull > 0) {
        this.#end('clone', 'ENGINE_CLONE_FAILED');
      } else if (server.world.scheduler.now < readyAt) this.#copy(source, life, readyAt);
      else {
        installCopy(server, source);
        this.#end('clone', null);
      }
    });
  }

  #rewind(from: number, runMs: number): void {
    const server = this.#server;
    const { random, servers } = server.world;
    this.#running = { kind: 'rewind', since: runMs };
    stopServer(server, 'fence');
    const source = servers[from];
    if (source === undefined || !this.#reaches(source) || source.process !== 'primary' || server.disk !== 'data') {
      this.#end('rewind', 'ENGINE_REWIND_FAILED');
      return;
    }
    const { life } = source;
    // Until it has succeeded, the directory must never be started.
    server.disk = 'incomplete';
    this.#host.later(random.between(200, 1500), () => {
      const broken = !this.#reaches(source) || source.life !== life || server.trouble.diskFull > 0;
      if (broken || random.chance(REWIND_FAILS) || !rewindTo(server, source)) {
        this.#end('rewind', 'ENGINE_REWIND_FAILED');
        return;
      }
      server.disk = 'data';
      this.#end('rewind', null);
    });
  }

  #reaches(source: SimServer): boolean {
    const { net } = source.world;
    const there = source.hostUp && !source.frozen && !source.hung;
    const passes = net.passes(source.index, this.#server.index) && net.passes(this.#server.index, source.index);
    return there && passes && (source.process === 'primary' || source.process === 'replica');
  }

  #end(command: string, ending: Ending): void {
    this.#running = null;
    this.#host.jobEnded(command, ending);
  }
}

/** MariaDB deletes its relay log then, and says from now on what it receives. */
function startReplication(server: SimServer): void {
  dropRelayLog(server);
  server.localEndKnown = true;
  keepApplying(server);
  server.changed();
}
