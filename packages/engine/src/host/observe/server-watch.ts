import { monotonicMs, reasonOf } from '@understudy/base';
import type { EngineState } from '@understudy/core';
import type { Log } from '../engine/adapter.ts';
import type { RunningServer, ServerProcess } from '../process/server-process.ts';
import type { StartCount } from '../starts.ts';
import type { Probe } from './probe.ts';

/** How long a server may fail to answer before it counts as hung; shorter than that, the last sample stands. */
export const unresponsiveAfterMs = 3000;

/** What an engine's server is watched with. */
export interface WatchSubject {
  readonly server: Pick<ServerProcess, 'check'>;
  readonly facts: {
    of(pid: number): {
      readonly answered: 'never' | 'once';
      readonly life: 'serving' | 'ending';
      readonly role: 'replica' | 'primary' | 'unknown';
    };
  };
  readonly probe: Pick<Probe, 'failingForMs'>;
  readonly starts: Pick<StartCount, 'failures'>;
  readonly log: Log;
  readonly dataDir: string;
  /** The server's process, if there is one. */
  find(): Promise<RunningServer | null>;
  /** What the data directory says of a server that does not run. */
  lookAtDisk(): Promise<EngineState>;
  /** Whether a server that has not answered yet may go on starting, by what a connection met. */
  mayBeStarting(running: RunningServer, error: unknown): boolean;
  /** What a server says that lives and lets its agent in nowhere; null for silence. */
  refusalOf(error: unknown): string | null;
}

/** Turns looks at a server, which fail or come late, into states that never say more than is known. */
export class ServerWatch {
  readonly #subject: WatchSubject;
  #last: { readonly pid: number; readonly state: EngineState } | null = null;
  #failingSinceMs: number | null = null;

  constructor(subject: WatchSubject) {
    this.#subject = subject;
  }

  /** What this process was at the last look; null when it was not looked at yet. */
  last(running: RunningServer | null): EngineState | null {
    return running !== null && this.#last?.pid === running.pid ? this.#last.state : null;
  }

  /** The present state; never throws. @param look asks the running server. */
  async observe(look: (running: RunningServer) => Promise<EngineState>): Promise<EngineState> {
    const running = await this.#subject.find();
    if (running === null) return this.#stopped();
    try {
      const state = await look(running);
      this.#failingSinceMs = null;
      this.#last = { pid: running.pid, state };
      const failingMs = this.#subject.probe.failingForMs();
      return failingMs >= unresponsiveAfterMs ? this.#unresponsive(running, failingMs, null) : state;
    } catch (error) {
      return this.#failed(running, error);
    }
  }

  async #stopped(): Promise<EngineState> {
    this.#failingSinceMs = null;
    this.#last = null;
    try {
      const state = await this.#subject.lookAtDisk();
      const { failures } = this.#subject.starts;
      return state.kind === 'stopped' && failures !== undefined ? { ...state, startFailures: failures } : state;
    } catch (error) {
      const problem = `The data directory ${this.#subject.dataDir} cannot be read: ${reasonOf(error)}. Repair the disk.`;
      return { kind: 'refused', problem };
    }
  }

  async #failed(running: RunningServer, error: unknown): Promise<EngineState> {
    const { server, facts: all, probe, log } = this.#subject;
    if (server.check() === 'gone') return this.#stopped();
    const nowMs = monotonicMs();
    const facts = all.of(running.pid);
    const starting = { kind: 'starting', sinceMs: Math.round(nowMs - running.sinceMs) } as const;
    if (facts.answered === 'never' && this.#subject.mayBeStarting(running, error)) {
      this.#failingSinceMs = null;
      return starting;
    }
    const last = this.last(running);
    // Until a stop ends, with its own deadline, the server is reported as what it was.
    if (facts.life === 'ending' && last !== null) return last;
    if (this.#failingSinceMs === null) {
      log({ level: 'debug', message: 'a look at the server failed', fields: { reason: reasonOf(error) } });
    }
    // One that the probe found hanging, and that is being killed, has hung since then.
    this.#failingSinceMs ??= nowMs - probe.failingForMs();
    const failingMs = nowMs - this.#failingSinceMs;
    if (failingMs >= unresponsiveAfterMs) return this.#unresponsive(running, failingMs, this.#subject.refusalOf(error));
    return stale(last ?? starting, failingMs);
  }

  #unresponsive({ pid }: RunningServer, sinceMs: number, refusal: string | null): EngineState {
    const { role } = this.#subject.facts.of(pid);
    const state = { kind: 'unresponsive', was: role, sinceMs: Math.round(sinceMs) } as const;
    return refusal === null ? state : { ...state, refusal };
  }
}

/**
 * A state that could not be looked at again. That nothing is received is not among what it may say: a receiver may have been started since.
 */
function stale(last: EngineState, failingMs: number): EngineState {
  if (last.kind !== 'replica' || last.receiver.kind !== 'none') return last;
  return { ...last, receiver: { kind: 'streaming', silentMs: Math.round(failingMs) } };
}
