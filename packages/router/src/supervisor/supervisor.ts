/** The router's main process: listens, hands each connection to the worker with the fewest, and tells all of them who leads. */

import { randomBytes } from 'node:crypto';
import { createServer, type Server, type Socket } from 'node:net';
import { reasonOf } from '@understudy/base';
import { type ListenAddress, passwordOf, type RouterConfig, workerConfig } from '../config/config.ts';
import { RouterError } from '../errors.ts';
import { followCluster } from '../topology/follow.ts';
import type { Follower } from '../topology/follower.ts';
import { type ClusterView, NOTHING_KNOWN, sameView, type Wanted } from '../topology/view.ts';
import type { FromWorker, WorkerReport } from './messages.ts';
import { WorkerProcess } from './worker-process.ts';

export interface RouterEvent {
  readonly kind: 'listening' | 'view' | 'worker-lost' | 'notice';
  readonly text: string;
}

export interface RunningRouter {
  readonly addresses: Readonly<Record<'readWrite' | 'readOnly' | 'primary', ListenAddress | null>>;
  readonly view: ClusterView;
  reports(): Promise<readonly WorkerReport[]>;
  /** Ends everything; nothing runs any more when this resolves. */
  stop(): Promise<void>;
}

const PORTS: readonly (readonly ['readWrite' | 'readOnly' | 'primary', Wanted])[] = [
  ['readWrite', 'primary'],
  ['readOnly', 'replica'],
  ['primary', 'primary'],
];
const READY_MS = 30_000;
const REPORT_MS = 1_000;
const RESTART_MS = 200;
const BACKLOG = 1_024;

/** What an operator has to know who asks for it. */
const TRANSACTION_POOLING =
  'transaction pooling: session state that functions, procedures, triggers, DO or the fast path set is not seen, and may reach ' +
  'other sessions (docs/router.md, "Pooling")';

export interface RouterOptions {
  readonly onEvent: (event: RouterEvent) => void;
  /** Of `auth.user`, where it stands in no file of its own. */
  readonly password?: string;
}

/**
 * Starts a router: it listens when this resolves.
 *
 * @throws RouterError
 */
export async function startRouter(config: RouterConfig, { onEvent, password }: RouterOptions): Promise<RunningRouter> {
  const supervisor = new Supervisor(config, password ?? (await passwordOf(config)), onEvent);
  try {
    await supervisor.start();
  } catch (error) {
    await supervisor.stop();
    throw error;
  }
  return supervisor;
}

class Supervisor implements RunningRouter {
  readonly #config: RouterConfig;
  readonly #password: string;
  readonly #onEvent: (event: RouterEvent) => void;
  readonly #secret = randomBytes(32).toString('hex');
  readonly #servers: Server[] = [];
  #workers: WorkerProcess[] = [];
  #follower: Follower | null = null;
  #view: ClusterView = NOTHING_KNOWN;
  #stopping = false;
  readonly #asked = new Map<number, { missing: number; readonly reports: WorkerReport[]; readonly done: () => void }>();
  #lastId = 0;
  #wakeReady: () => void = () => undefined;
  addresses: { readWrite: ListenAddress | null; readOnly: ListenAddress | null; primary: ListenAddress | null } = {
    readWrite: null,
    readOnly: null,
    primary: null,
  };

  constructor(config: RouterConfig, password: string, onEvent: (event: RouterEvent) => void) {
    this.#config = config;
    this.#password = password;
    this.#onEvent = onEvent;
  }

  get view(): ClusterView {
    return this.#view;
  }

  async start(): Promise<void> {
    this.#follower = await followCluster(this.#config, this.#password, (view) => this.#changed(view));
    for (let index = 0; index < this.#config.workers; index++) this.#workers.push(await this.#startWorker(index));
    await this.#allReady();
    for (const [name, wanted] of PORTS) {
      const address = this.#config.listen[name];
      if (address !== undefined) this.addresses[name] = await this.#listen(address, wanted);
    }
    const names = Object.values(this.addresses).flatMap((each) => (each === null ? [] : [`${each.host}:${each.port}`]));
    this.#onEvent({ kind: 'listening', text: `listens on ${names.join(', ')}` });
    if (this.#config.pooling === 'transaction') this.#onEvent({ kind: 'notice', text: TRANSACTION_POOLING });
  }

  #changed(view: ClusterView): void {
    const isNews = !sameView(view, this.#view);
    this.#view = view;
    if (!isNews) return;
    for (const worker of this.#workers) worker.send({ kind: 'view', view });
    const leader = view.primary === null ? 'nobody may be written to' : `${view.primary} is the primary`;
    this.#onEvent({ kind: 'view', text: `epoch ${view.epoch}: ${leader}` });
  }

  async #startWorker(index: number): Promise<WorkerProcess> {
    const config = await workerConfig(this.#config, index, this.#secret, this.#password);
    return new WorkerProcess({
      config,
      view: () => this.#view,
      onMessage: (from, message) => this.#heard(from, message),
      onEnd: (from, how) => this.#lost(from, how),
    });
  }

  #lost(from: WorkerProcess, how: string): void {
    if (this.#stopping) return;
    this.#onEvent({ kind: 'worker-lost', text: `worker ${from.index} ended (${how}); another one takes its place` });
    setTimeout(() => {
      if (this.#stopping) return;
      this.#startWorker(from.index).then(
        (worker) => {
          this.#workers = this.#workers.map((each) => (each === from ? worker : each));
        },
        (error: unknown) => this.#onEvent({ kind: 'notice', text: `no worker could be started: ${reasonOf(error)}` }),
      );
    }, RESTART_MS);
  }

  async #allReady(): Promise<void> {
    const deadline = performance.now() + READY_MS;
    while (!this.#workers.every((worker) => worker.isReady)) {
      if (performance.now() > deadline) throw new RouterError('WORKER_LOST', 'A worker did not become ready.');
      await new Promise<void>((wake) => {
        const timer = setTimeout(wake, REPORT_MS);
        this.#wakeReady = () => {
          clearTimeout(timer);
          wake();
        };
      });
    }
  }

  #heard(from: WorkerProcess, message: FromWorker): void {
    switch (message.kind) {
      case 'ready':
        this.#wakeReady();
        return;
      case 'cancel':
        for (const worker of this.#workers) if (worker !== from) worker.send(message);
        return;
      case 'trouble':
        this.#follower?.look();
        return;
      case 'reports':
        this.reports().then(
          (reports) => from.send({ kind: 'reports', id: message.id, reports }),
          () => undefined,
        );
        return;
      case 'report':
        this.#reported(message.id, message.report);
        return;
      case 'failed':
        this.#onEvent({ kind: 'notice', text: `worker ${from.index} cannot start: ${message.text}` });
        return;
      case 'load':
        return;
    }
  }

  reports(): Promise<readonly WorkerReport[]> {
    const id = ++this.#lastId;
    return new Promise((resolve) => {
      const reports: WorkerReport[] = [];
      const done = (): void => {
        clearTimeout(deadline);
        this.#asked.delete(id);
        resolve(reports);
      };
      const deadline = setTimeout(done, REPORT_MS);
      this.#asked.set(id, { missing: this.#workers.length, reports, done });
      for (const worker of this.#workers) worker.send({ kind: 'report', id });
    });
  }

  #reported(id: number, report: WorkerReport): void {
    const asked = this.#asked.get(id);
    if (asked === undefined) return;
    asked.reports.push(report);
    if (--asked.missing === 0) asked.done();
  }

  #listen({ host, port }: ListenAddress, wanted: Wanted): Promise<ListenAddress> {
    return new Promise((done, fail) => {
      const server = createServer({ pauseOnConnect: true, noDelay: true }, (socket) => this.#accepted(socket, wanted));
      this.#servers.push(server);
      server.once('error', (error) => {
        fail(new RouterError('PORT_TAKEN', `The router cannot listen on ${host}:${port}: ${error.message}`));
      });
      server.listen({ host, port, backlog: BACKLOG }, () => {
        const address = server.address();
        done(typeof address === 'object' && address !== null ? { host, port: address.port } : { host, port });
      });
    });
  }

  #accepted(socket: Socket, wanted: Wanted): void {
    socket.on('error', () => undefined);
    const ready = this.#workers.filter((worker) => worker.isReady);
    const total = ready.reduce((sum, worker) => sum + worker.clients, 0);
    const [worker] = ready.sort((a, b) => a.clients - b.clients);
    if (worker === undefined || total >= this.#config.maxClients) {
      socket.destroy();
      return;
    }
    worker.give({ kind: 'client', wanted }, socket, () => undefined);
  }

  async stop(): Promise<void> {
    this.#stopping = true;
    for (const server of this.#servers) server.close();
    this.#follower?.stop();
    await Promise.all(this.#workers.map((worker) => worker.stop()));
  }
}
