import { EventEmitter } from 'node:events';
import {
  DEFAULT_TAGS,
  type EngineCommand,
  type EngineState,
  epoch,
  KEEP_END,
  type Member,
  memberId,
  ms,
} from '@understudy/core';
import type { JobHandle, Log, Opening, RunningServer, ServerAdapter } from '../../src/host/index.ts';
import type { ClusterContext } from '../../src/index.ts';

/** A verb that has been called, and that goes on until it is told to end. */
class Held {
  readonly signal: AbortSignal | null;
  readonly done: Promise<void>;
  #resolve: () => void = () => undefined;
  #reject: (error: Error) => void = () => undefined;

  constructor(signal: AbortSignal | null) {
    this.signal = signal;
    this.done = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
    // As the real ones: they end soon after their signal.
    signal?.addEventListener('abort', () => this.fail(new Error('it was broken off')), { once: true });
  }

  end(): void {
    this.#resolve();
  }

  fail(error: Error): void {
    this.#reject(error);
  }
}

/** An adapter without a server: it notes which verbs are called, and each goes on until the test ends it. */
export class FakeAdapter implements ServerAdapter {
  readonly name = 'fake';
  readonly member = 'n1';
  readonly requiredAcksMax = null;
  readonly commitDegrees = [];
  readonly progress = 'seen';
  readonly background = null;
  /** What was called, in order. */
  readonly calls: string[] = [];
  /** Verbs under way. */
  readonly held = new Map<string, Held>();
  /** Verbs that end at once. */
  readonly quick = new Set<string>();
  readonly #events = new EventEmitter();
  #running: RunningServer | null = null;
  answered: 'never' | 'once' = 'once';
  readonly log: Log = () => undefined;

  readonly server = ((fake: FakeAdapter) => ({
    get running(): RunningServer | null {
      return fake.#running;
    },
    onExit: (listener: () => void): void => void fake.#events.on('exit', listener),
    check: (): 'running' | 'gone' => (fake.#running === null ? 'gone' : 'running'),
    kill: (): Promise<void> => fake.#work('kill', null),
    detach: (): void => void fake.calls.push('detach'),
  }))(this);

  readonly sql = {
    onCut: (listener: () => void): void => void this.#events.on('cut', listener),
    close: async (): Promise<void> => void this.calls.push('sql.close'),
  };

  readonly facts = { of: () => ({ answered: this.answered }) };

  readonly probe = {
    start: (): void => void this.calls.push('probe.start'),
    stop: async (): Promise<void> => void this.calls.push('probe.stop'),
    reset: (): void => void this.calls.push('probe.reset'),
  };

  readonly kept = {
    refresh: (): void => undefined,
    summary: { folders: 0, bytes: 0, held: null },
    list: async () => [],
    remove: () => Promise.reject(new Error('nothing is kept')),
    close: async (): Promise<void> => void this.calls.push('kept.close'),
  };

  readonly outgoing = {
    send: (_: unknown, __: unknown, signal: AbortSignal): Promise<void> => this.#work('send', signal),
    besides: (_: unknown, work: () => Promise<void>): Promise<void> => work(),
    end: async (reason: string): Promise<void> => void this.calls.push(`copies.end ${reason}`),
  };

  /** The server runs from now on. */
  up(): void {
    this.#running = { pid: 7, sinceMs: 0, origin: 'started', startTicks: '1' };
  }

  /** The server's process ends, whatever the reason. */
  die(): void {
    this.#running = null;
    this.#events.emit('exit');
  }

  cut(): void {
    this.#events.emit('cut');
  }

  async #work(verb: string, signal: AbortSignal | null): Promise<void> {
    this.calls.push(verb);
    signal?.throwIfAborted();
    if (this.quick.has(verb)) return;
    const held = new Held(signal);
    this.held.set(verb, held);
    try {
      await held.done;
    } finally {
      this.held.delete(verb);
      this.calls.push(`${verb} ended`);
    }
  }

  /** One that has told the server something which it cannot take back. */
  #deaf(verb: string, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    return this.#work(verb, null);
  }

  /** Ends a verb that is under way. */
  end(verb: string): void {
    const held = this.held.get(verb);
    if (held === undefined) throw new Error(`${verb} is not under way: ${this.calls.join(', ')}`);
    held.end();
  }

  async observe(): Promise<EngineState> {
    return { kind: 'absent' };
  }

  details() {
    return { version: '1', pendingRestart: [], warnings: [], retainedBytes: {} };
  }

  canRewind(): 'yes' {
    return 'yes';
  }

  async checkParameters() {
    return [];
  }

  learn(): void {}

  initialize = (signal: AbortSignal): Promise<void> => this.#work('initialize', signal);
  start = (_: unknown, signal: AbortSignal): Promise<void> => this.#work('start', signal);
  stop = (mode: string): Promise<void> => this.#work(`stop ${mode}`, null);
  rehearse = (): Promise<void> => this.#work('rehearse', null);
  clone = (_: Member, { signal }: JobHandle): Promise<void> => this.#work('clone', signal);
  rewind = (_: Member, { signal }: JobHandle): Promise<void> => this.#work('rewind', signal);
  checkpoint = (signal: AbortSignal): Promise<void> => this.#deaf('checkpoint', signal);
  provision = (_: ClusterContext, signal: AbortSignal): Promise<void> => this.#deaf('provision', signal);
  seal = (): Promise<void> => this.#work('seal', null);
  follow = (): Promise<void> => this.#work('follow', null);
  setAckRule = (): Promise<void> => this.#work('set-ack-rule', null);
  configure = (): Promise<void> => this.#work('configure', null);
  maintain = (): Promise<void> => this.#work('maintain', null);

  async fence(): Promise<void> {
    await this.#work('fence', null);
    this.die();
  }

  promote = async (): Promise<Opening> => {
    await this.#work('promote', null);
    return { finish: () => this.#work('opening', null) };
  };
}

const source: Member = {
  id: memberId('n2'),
  host: '127.0.0.1',
  port: 1,
  apiUrl: 'http://127.0.0.1:1',
  tags: DEFAULT_TAGS,
};

export const context: ClusterContext = {
  self: memberId('n1'),
  members: new Map([[source.id, source]]),
  positions: new Map(),
  parameters: {},
  synchronousCommit: 'on',
  acknowledges: 'no',
};

const from = source.id;
const rule = { members: [], required: 0 };

/** One of each, by the name of what it calls. */
export const commands = {
  initialize: { kind: 'initialize' },
  start: { kind: 'start', end: KEEP_END },
  'stop orderly': { kind: 'stop', mode: 'orderly' },
  'stop handover': { kind: 'stop', mode: 'handover' },
  restart: { kind: 'restart' },
  clone: { kind: 'clone', from },
  rewind: { kind: 'rewind', from },
  checkpoint: { kind: 'checkpoint' },
  provision: { kind: 'provision' },
  seal: { kind: 'seal', epoch: epoch(2) },
  follow: { kind: 'follow', upstream: from, epoch: epoch(2) },
  'set-ack-rule': { kind: 'set-ack-rule', rule },
  promote: { kind: 'promote', epoch: epoch(2), timeline: 2, rule, notAfter: ms(1) },
} as const satisfies Readonly<Record<string, EngineCommand>>;

export const fence: EngineCommand = { kind: 'stop', mode: 'fence' };
