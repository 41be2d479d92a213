import { monotonicMs, pause } from '@understudy/base';
import type { Database } from '../database/database.ts';
import type { Session, Target } from '../database/session.ts';
import { Login } from './login.ts';
import type { Op } from './op.ts';

export interface WriterOptions {
  readonly database: Database;
  readonly writer: number;
  readonly kind: Op['kind'];
  /** Time between two arrivals; they come whether the last one was answered or not (open loop). */
  readonly everyMs: number;
  /** How long an insert may take before its client gives up on the connection. */
  readonly deadlineMs: number;
  /** Where to connect now; null while nobody takes writes. */
  readonly locate: () => Promise<Target | null>;
  /** The node that takes writes now, without waiting. */
  readonly primary: () => string | null;
  readonly nextId: () => number;
  readonly onOp: (op: Op) => void;
}

/** One client: inserts a new id at every arrival, and looks for the primary anew after every error. Never retries an id. */
export class Writer {
  readonly #options: WriterOptions;
  readonly #login: Login;
  #session: Session | null = null;
  #isStopped = false;
  #loop: Promise<void> | null = null;
  #missed = 0;

  constructor(options: WriterOptions) {
    this.#options = options;
    this.#login = new Login(options);
  }

  /** Arrivals that found no connection, or the last insert still unanswered. */
  get missed(): number {
    return this.#missed;
  }

  start(): void {
    this.#loop ??= this.#run();
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    await this.#loop;
    this.#session?.destroy();
    await this.#login.close();
  }

  async #run(): Promise<void> {
    const { everyMs } = this.#options;
    // Spread, so that the writers' arrivals do not come in step.
    let nextMs = monotonicMs() + Math.random() * everyMs;
    while (!this.#isStopped) {
      await pause(Math.max(0, nextMs - monotonicMs()));
      if (this.#isStopped) return;
      await this.#arrive();
      const late = Math.max(0, Math.ceil((monotonicMs() - nextMs) / everyMs) - 1);
      this.#missed += late;
      nextMs += everyMs * (late + 1);
    }
  }

  async #arrive(): Promise<void> {
    const session = await this.#connected();
    if (session === null || this.#isStopped) return;
    const { database, writer, kind, deadlineMs, nextId, onOp } = this.#options;
    const id = nextId();
    const { node } = session.target;
    const invokeMs = monotonicMs();
    const inserted = await database.insert(session, { id, writer }, deadlineMs);
    onOp({ id, writer, kind, node, invokeMs, ...inserted });
    if (inserted.problem !== null) {
      session.destroy();
      this.#session = null;
    }
  }

  async #connected(): Promise<Session | null> {
    if (this.#session?.isOpen === true) return this.#session;
    const target = await this.#options.locate();
    if (target === null) return null;
    this.#session = await this.#login.to(target);
    return this.#session;
  }
}
