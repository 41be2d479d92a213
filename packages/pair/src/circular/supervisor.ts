import { monotonicMs, pollUntil, reasonOf } from '@understudy/base';
import type { ClusterPaths } from '@understudy/local/parts';
import { type Decision, decide, type Step } from '../decide/decide.ts';
import { type Both, otherSide, type SideName, sideNames } from '../decide/sides.ts';
import type { ServerView, SideView, Writers } from '../decide/state.ts';
import { PairError } from '../errors.ts';
import { closeServer, executedBy, waitForExecuted } from '../server/link.ts';
import { Watch } from '../server/look.ts';
import type { PairServer } from '../server/server.ts';
import { Backoff } from './backoff.ts';
import { Bell } from './bell.ts';
import { changeWriters, type SwitchResult, switchActive } from './change.ts';
import { keepRows } from './late-rows.ts';
import type { Ledger } from './ledger.ts';
import { Serial } from './serial.ts';
import { carryOut } from './steps.ts';

const calmMs = 250;
const busyMs = 30;
const stopCloseMs = 3000;
/** A receiver that its source turns away stops again at once. */
const linkPauseMs = 1000;

export interface Patience {
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
}

const unseen: SideView = { process: 'gone', life: 'starting', server: null, silentMs: 0 };

/** Looks at both servers again and again, and does what has to be done. Requests take turns with it. */
export class Supervisor {
  readonly servers: Both<PairServer>;
  readonly ledger: Ledger;
  readonly paths: ClusterPaths;
  readonly #watches: Both<Watch>;
  readonly #serial = new Serial();
  readonly #ended = new AbortController();
  readonly #bell = new Bell();
  readonly #backoff = new Backoff();
  readonly #lastSeen: Partial<Record<SideName, ServerView['executed']>> = {};
  #views: Both<SideView> = { n1: unseen, n2: unseen };
  #decision: Decision = { steps: [], notes: [] };
  #turns = 0;
  #loop: Promise<void> | null = null;

  constructor(servers: Both<PairServer>, ledger: Ledger, paths: ClusterPaths) {
    this.servers = servers;
    this.ledger = ledger;
    this.paths = paths;
    this.#watches = { n1: new Watch(servers.n1), n2: new Watch(servers.n2) };
    for (const side of sideNames) servers[side].process.onExit(() => this.#bell.ring());
  }

  /** The newest look at both servers. */
  get views(): Both<SideView> {
    return this.#views;
  }

  get notes(): readonly string[] {
    return this.#decision.notes;
  }

  /** Aborted when the supervisor ends. */
  get signal(): AbortSignal {
    return this.#ended.signal;
  }

  /** Takes over servers that run, and begins to look. */
  async start(): Promise<void> {
    for (const side of sideNames) await this.servers[side].process.adopt();
    this.#loop = this.#run();
  }

  /** Ends the looking, closes both servers, waits until they have the same, and shuts them down: the active one last. */
  async stop(): Promise<void> {
    this.#ended.abort();
    this.#bell.ring();
    await this.#loop;
    await this.#serial.idle();
    const { active } = this.ledger.memory;
    const closing = sideNames.map(async (side) => {
      if (this.servers[side].process.running !== null) await closeServer(this.servers[side], stopCloseMs);
    });
    // A server that cannot be closed is shut down all the same: its clients are cut then.
    await Promise.allSettled(closing);
    await this.#drain(otherSide(active));
    await this.servers[otherSide(active)].stop();
    await this.servers[active].stop();
  }

  /** The rest arrives before the end, so that the next start finds both equal. Not longer than a moment: nothing is lost without it. */
  async #drain(side: SideName): Promise<void> {
    const source = this.servers[otherSide(side)];
    if (this.ledger.memory.apart !== null || source.process.running === null) return;
    await executedBy(source)
      .then((goal) => waitForExecuted(this.servers[side], goal, { timeoutMs: stopCloseMs }))
      .catch(() => 'late');
  }

  /** Resolves when a look that began after this call has left nothing to do, or after a while. */
  async settled(timeoutMs: number): Promise<void> {
    this.#bell.ring();
    const from = this.#turns;
    const isQuiet = (): boolean => this.#turns > from + 1 && this.#decision.steps.length === 0;
    await pollUntil(async () => (isQuiet() || this.signal.aborted ? true : null), { everyMs: 10, timeoutMs });
  }

  /** Runs `work` when nothing else is being done, with a fresh look at both servers. */
  exclusively<T>(work: (views: Both<SideView>) => Promise<T>): Promise<T> {
    if (this.signal.aborted) throw new PairError('PAIR_NOT_RUNNING', 'The pair is being stopped.', { retry: 'safe' });
    return this.#serial.run(async () => {
      await this.#look();
      return work(this.#views);
    });
  }

  /** Moves the active role. @throws PairError */
  switchActive(to: SideName | null, withinMs: number): Promise<SwitchResult> {
    return this.exclusively((views) => {
      const target = to ?? otherSide(this.ledger.memory.active);
      return switchActive(this.#change(views), target, withinMs);
    });
  }

  /** Lets one or both servers take writes. @throws PairError */
  changeWriters(writers: Writers, withinMs: number): Promise<void> {
    return this.exclusively((views) => changeWriters(this.#change(views), writers, withinMs));
  }

  #change(views: Both<SideView>) {
    return { servers: this.servers, ledger: this.ledger, views, signal: this.signal };
  }

  /** Resolves when the active server takes writes. @throws PairError `PAIR_START_FAILED` */
  async waitUntilOpen(patience: Patience): Promise<void> {
    await this.#waitFor(() => this.#views[this.ledger.memory.active].server?.fence === 'open', patience);
  }

  /** Resolves when nothing is left to do and both replicate, or when the pair needs somebody's decision. @throws PairError */
  async waitUntilWhole(patience: Patience): Promise<void> {
    await this.#waitFor(() => this.ledger.memory.apart !== null || this.isWhole(), patience);
  }

  /** Whether both servers are where they should be and receive from each other. */
  isWhole(): boolean {
    const links = sideNames.map((side) => this.#views[side].server?.link);
    const isLinked = links.every((each) => each?.receiver === 'running' && each.applier === 'running');
    return isLinked && this.#decision.steps.length === 0 && this.ledger.memory.apart === null;
  }

  async #waitFor(isSo: () => boolean, { timeoutMs, signal }: Patience): Promise<void> {
    const found = await pollUntil(async () => (isSo() ? true : null), { everyMs: 30, timeoutMs, signal });
    if (found !== null) return;
    const [problem = 'it is not known why'] = this.#backoff.problems();
    const text = `The pair was not ready after ${timeoutMs / 1000} s: ${problem}.`;
    throw new PairError('PAIR_START_FAILED', text, { next: `See the logs in ${this.paths.folder}.` });
  }

  /** Failures of the last minute, for people. */
  problems(): readonly string[] {
    return this.#backoff.problems();
  }

  async #run(): Promise<void> {
    while (!this.signal.aborted) {
      const busy = await this.#serial
        .run(() => this.#turn())
        .catch((error: unknown) => {
          this.#backoff.failed('look', `Looking at the servers failed: ${reasonOf(error)}`, monotonicMs());
          return 'calm' as const;
        });
      if (!this.signal.aborted) await this.#bell.wait(busy === 'busy' ? busyMs : calmMs);
    }
  }

  async #turn(): Promise<'busy' | 'calm'> {
    await this.#look();
    this.#turns += 1;
    this.#decision = decide(this.#views, this.ledger.memory);
    let busy: 'busy' | 'calm' = this.#decision.notes.length > 0 ? 'busy' : 'calm';
    for (const step of this.#decision.steps) {
      if (this.signal.aborted) break;
      const key = `${step.kind} ${step.side}`;
      if (this.#backoff.isWaiting(key, monotonicMs())) continue;
      busy = 'busy';
      await this.#carryOut(step, key);
    }
    return busy;
  }

  /** A step that failed is not tried again at once; nor is a server that keeps ending started without a pause. */
  async #carryOut(step: Step, key: string): Promise<void> {
    try {
      if (step.kind === 'start' && this.servers[step.side].process.lastExit !== null) {
        const words = await this.servers[step.side].lastWords();
        this.#backoff.failed(key, `${step.side} ended: ${words}`, monotonicMs());
      }
      await carryOut(step, {
        servers: this.servers,
        ledger: this.ledger,
        views: this.#views,
        lastSeen: this.#lastSeen,
        keepRows: (side, transactions) => keepRows(this.servers[side], this.paths.folder, transactions),
      });
      if (step.kind !== 'start') this.#backoff.worked(key);
      if (step.kind === 'link') this.#backoff.rest(key, monotonicMs(), linkPauseMs);
    } catch (error) {
      this.#backoff.failed(key, `${key}: ${reasonOf(error)}`, monotonicMs());
    }
  }

  /** The passive server first: what it holds is then not merely newer than what was read of the active one. */
  async #look(): Promise<void> {
    const { active } = this.ledger.memory;
    const passive = otherSide(active);
    const passiveView = await this.#watches[passive].look();
    const activeView = await this.#watches[active].look();
    this.#views = active === 'n1' ? { n1: activeView, n2: passiveView } : { n1: passiveView, n2: activeView };
    for (const side of sideNames) {
      const { server } = this.#views[side];
      if (server === null) continue;
      this.#lastSeen[side] = server.executed;
      this.#backoff.worked(`start ${side}`);
    }
  }
}
