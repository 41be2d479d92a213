/** The server connections of one user and database, by node, and the clients that wait for one: first come, first served. */

import type { ErrorFields } from '@understudy/wire/postgres';
import type { ClusterView, MemberView, Wanted } from '../../topology/view.ts';
import type { Batch } from '../batch.ts';
import { type Ended, ServerConnection } from '../server/server-connection.ts';
import type { Credentials } from '../server/server-login.ts';
import type { ServerTls } from '../server/server-socket.ts';

export interface PoolLimits {
  /** Server connections for each node. */
  readonly size: number;
  /** Unused connections are closed after this. */
  readonly idleMs: number;
  /** How long a client waits for a connection, or for a primary during a failover. */
  readonly waitMs: number;
  /** Clients that may wait at one time; more are refused. */
  readonly waiting: number;
  /** Bytes that waiting clients may have sent. */
  readonly waitingBytes: number;
}

/** Somebody who wants a connection. */
export interface Waiter {
  readonly wanted: Wanted;
  readonly sinceMs: number;
  readonly bytes: number;
  /** Given a connection that is free and proven for what is wanted. */
  take(server: ServerConnection): void;
  refuse(error: ErrorFields): void;
}

export interface PoolOptions {
  readonly user: string;
  readonly database: string;
  readonly credentials: () => Credentials;
  readonly view: () => ClusterView;
  readonly tls: ServerTls | null;
  readonly limits: PoolLimits;
  readonly batch: Batch;
  /** A login was refused because of the credentials: what was recovered from a client is worth nothing any more. */
  readonly onRefused: (error: ErrorFields) => void;
  /** A connection was lost, or did not come about: the cluster may have changed. */
  readonly onLost: () => void;
}

interface Node {
  readonly idle: ServerConnection[];
  readonly all: Set<ServerConnection>;
  /** Of `all`, those that are logging in. */
  readonly logins: Set<ServerConnection>;
  /** No new attempt before this. */
  retryAtMs: number;
  failures: number;
}

const RETRY_MIN_MS = 20;
const RETRY_MAX_MS = 500;
const PROBE_EVERY_MS = 20;
/** A connection that does not come about within this is given up. */
const CONNECT_MS = 5_000;

export class Pool {
  readonly options: PoolOptions;
  readonly #nodes = new Map<string, Node>();
  #waiters: Waiter[] = [];
  #waitingBytes = 0;
  #timer: NodeJS.Timeout | null = null;
  #closed = false;
  /** Why nobody could be served, said last by a server. */
  #lastTrouble = '';
  usedAtMs = performance.now();

  constructor(options: PoolOptions) {
    this.options = options;
  }

  get waiting(): number {
    return this.#waiters.length;
  }

  /** Connections by what they do, for `SHOW`. */
  counts(): { readonly active: number; readonly idle: number; readonly opening: number } {
    let [active, idle, opening] = [0, 0, 0];
    for (const node of this.#nodes.values()) {
      idle += node.idle.length;
      opening += node.logins.size;
      active += node.all.size - node.idle.length - node.logins.size;
    }
    return { active, idle, opening };
  }

  servers(): ServerConnection[] {
    return [...this.#nodes.values()].flatMap((node) => [...node.all]);
  }

  /** A connection at once, or null: then {@link wait} for it. */
  acquire(wanted: Wanted): ServerConnection | null {
    this.usedAtMs = performance.now();
    if (this.#waiters.length > 0) return null;
    return this.#take(wanted);
  }

  /** Joins the queue. A full queue refuses at once. */
  wait(waiter: Waiter): void {
    const { limits } = this.options;
    if (this.#waiters.length >= limits.waiting || this.#waitingBytes + waiter.bytes > limits.waitingBytes) {
      waiter.refuse({
        severity: 'ERROR',
        code: '53300',
        message: `${this.#waiters.length} clients wait already for a connection of this pool`,
        hint: 'Make the pool or the queue of the router larger, or come with fewer connections.',
      });
      return;
    }
    this.#waiters.push(waiter);
    this.#waitingBytes += waiter.bytes;
    this.dispatch();
  }

  /** A waiter that went away. */
  leave(waiter: Waiter): void {
    const at = this.#waiters.indexOf(waiter);
    if (at === -1) return;
    this.#waiters.splice(at, 1);
    this.#waitingBytes -= waiter.bytes;
  }

  /** A connection that nobody uses any more; it must be between requests and outside a transaction. */
  release(server: ServerConnection): void {
    if (!server.isOpen || server.user !== null) return;
    const node = this.#nodes.get(server.options.member);
    if (node === undefined || !node.all.has(server) || this.#closed || !this.#isWelcome(server)) {
      server.close();
      return;
    }
    if (!server.isFree) return;
    server.freeSinceMs = performance.now();
    if (!node.idle.includes(server)) node.idle.push(server);
    if (this.#waiters.length > 0) this.dispatch();
  }

  /** Serves whoever can be served; opens connections for the others. */
  dispatch(): void {
    if (this.#closed) return;
    this.#expire();
    for (let at = 0; at < this.#waiters.length; ) {
      const waiter = this.#waiters[at] as Waiter;
      const server = this.#take(waiter.wanted);
      if (server === null) {
        at++;
        continue;
      }
      this.#waiters.splice(at, 1);
      this.#waitingBytes -= waiter.bytes;
      waiter.take(server);
    }
    this.#openForWaiters();
    this.#schedule();
  }

  /**
   * The cluster changed. Connections to nodes that serve nobody any more are closed: the unused ones at once, those in use once somebody
   * else leads or their node has left. Until then what runs on them may end: a primary that is about to stop still answers.
   */
  changed(): void {
    const isDecided = this.options.view().primary !== null;
    for (const [name, node] of this.#nodes) {
      const member = this.#member(name);
      node.retryAtMs = 0;
      if (member !== undefined && member.serves !== 'none') continue;
      const isOver = isDecided || member === undefined;
      for (const server of [...node.all])
        if (server.isReady && (isOver || server.user === null)) this.#purge(server, member);
    }
    this.dispatch();
  }

  close(): void {
    this.#closed = true;
    if (this.#timer !== null) clearTimeout(this.#timer);
    for (const server of this.servers()) server.close();
  }

  /** Closes what was not used for long. */
  trim(nowMs: number): void {
    for (const node of this.#nodes.values()) {
      for (const server of [...node.idle]) {
        if (nowMs - server.freeSinceMs > this.options.limits.idleMs) server.close();
      }
    }
  }

  #purge(server: ServerConnection, member: MemberView | undefined): void {
    const message = member === undefined ? 'the node left the cluster' : 'the node serves nobody any more';
    server.end({ kind: 'lost', code: 'DEMOTED', message });
  }

  #member(name: string): MemberView | undefined {
    return this.options.view().members.find((each) => each.name === name);
  }

  /** Whether the node of a connection still serves somebody. */
  #isWelcome(server: ServerConnection): boolean {
    const member = this.#member(server.options.member);
    return member !== undefined && member.serves !== 'none' && !this.#isOutgrown(server);
  }

  #isOutgrown(server: ServerConnection): boolean {
    return (this.#nodes.get(server.options.member)?.all.size ?? 0) > this.options.limits.size;
  }

  #take(wanted: Wanted): ServerConnection | null {
    for (const name of this.#nodesFor(wanted)) {
      const node = this.#nodes.get(name);
      if (node === undefined) continue;
      for (let at = node.idle.length - 1; at >= 0; at--) {
        const server = node.idle[at] as ServerConnection;
        if (!server.isFree) continue;
        if (wanted === 'primary' && server.isReplica === true) {
          node.idle.splice(at, 1);
          this.#prove(server);
          continue;
        }
        node.idle.splice(at, 1);
        return server;
      }
    }
    return null;
  }

  /** A promoted replica keeps its connections; that it takes writes now is said with the answer to the next request, whatever it is. */
  #prove(server: ServerConnection): void {
    server.run('', () => {
      if (server.isReplica === false) this.release(server);
      else if (server.isOpen) setTimeout(() => this.release(server), PROBE_EVERY_MS);
    });
  }

  /** Names of the nodes that may serve, best first. */
  #nodesFor(wanted: Wanted): readonly string[] {
    const { members, primary } = this.options.view();
    if (wanted === 'primary') return primary === null ? [] : [primary];
    const replicas = members.filter((each) => each.serves === 'replica').map((each) => each.name);
    const free = (name: string): number => this.#nodes.get(name)?.idle.length ?? 0;
    replicas.sort((a, b) => free(b) - free(a));
    if (wanted === 'replica' && replicas.length > 0) return replicas;
    return primary === null ? replicas : [...replicas, primary];
  }

  #openForWaiters(): void {
    const now = performance.now();
    const missing = new Map<string, number>();
    for (const { wanted } of this.#waiters) {
      const names = this.#nodesFor(wanted);
      // Spread over the nodes that may serve: the one with the fewest connections.
      const [name] = [...names].sort((a, b) => this.#size(a) - this.#size(b));
      if (name !== undefined) missing.set(name, (missing.get(name) ?? 0) + 1);
    }
    for (const [name, wantedCount] of missing) {
      const node = this.#node(name);
      const room = this.options.limits.size - node.all.size;
      const count = Math.min(room, wantedCount - node.logins.size);
      if (now < node.retryAtMs) continue;
      for (let i = 0; i < count; i++) this.#open(name, node);
    }
  }

  #size(name: string): number {
    return this.#nodes.get(name)?.all.size ?? 0;
  }

  #node(name: string): Node {
    let node = this.#nodes.get(name);
    if (node === undefined) {
      node = { idle: [], all: new Set(), logins: new Set(), retryAtMs: 0, failures: 0 };
      this.#nodes.set(name, node);
    }
    return node;
  }

  #open(name: string, node: Node): void {
    const member = this.#member(name);
    if (member === undefined) return;
    const { user, database, credentials, batch, tls } = this.options;
    const server = new ServerConnection({
      member: name,
      host: member.host,
      port: member.port,
      tls,
      user,
      database,
      credentials: credentials(),
      settings: [],
      batch,
      onReady: (each) => this.#opened(each, node, deadline),
      onEnded: (each, ended) => this.#ended(each, node, ended, deadline),
    });
    const deadline = setTimeout(() => {
      server.end({ kind: 'lost', code: 'ETIMEDOUT', message: `no login within ${CONNECT_MS} ms` });
    }, CONNECT_MS);
    node.all.add(server);
    node.logins.add(server);
  }

  #opened(server: ServerConnection, node: Node, deadline: NodeJS.Timeout): void {
    if (node.logins.delete(server)) {
      clearTimeout(deadline);
      node.failures = 0;
    }
    this.release(server);
  }

  #ended(server: ServerConnection, node: Node, ended: Ended, deadline: NodeJS.Timeout): void {
    clearTimeout(deadline);
    node.all.delete(server);
    const at = node.idle.indexOf(server);
    if (at !== -1) node.idle.splice(at, 1);
    const wasOpening = node.logins.delete(server);
    if (wasOpening && ended.kind !== 'closed') this.#failedToOpen(node, ended);
    if (ended.kind !== 'closed') this.options.onLost();
    if (this.#waiters.length > 0) this.#schedule();
  }

  #failedToOpen(node: Node, ended: Ended): void {
    node.failures++;
    const pauseMs = Math.min(RETRY_MAX_MS, RETRY_MIN_MS * 2 ** (node.failures - 1));
    node.retryAtMs = performance.now() + pauseMs * (0.5 + Math.random() / 2);
    if (ended.kind === 'lost') this.#lastTrouble = ended.message;
    if (ended.kind !== 'told') return;
    this.#lastTrouble = ended.error.message;
    if (isPassing(ended.error.code)) return;
    this.options.onRefused(ended.error);
    const waiters = this.#waiters;
    this.#waiters = [];
    this.#waitingBytes = 0;
    for (const waiter of waiters) waiter.refuse({ ...ended.error, severity: 'FATAL' });
  }

  #expire(): void {
    const { waitMs } = this.options.limits;
    const oldest = performance.now() - waitMs;
    while (this.#waiters.length > 0 && (this.#waiters[0] as Waiter).sinceMs < oldest) {
      const waiter = this.#waiters.shift() as Waiter;
      this.#waitingBytes -= waiter.bytes;
      waiter.refuse(this.#tooLong(waiter.wanted));
    }
  }

  #tooLong(wanted: Wanted): ErrorFields {
    const { waitMs } = this.options.limits;
    const [name] = this.#nodesFor(wanted);
    const trouble = this.#lastTrouble === '' ? {} : { detail: this.#lastTrouble };
    if (name === undefined) {
      const message = `no node serves as ${wanted === 'any' ? 'primary or replica' : wanted} since ${waitMs} ms; nothing was sent`;
      return { severity: 'ERROR', code: '57P03', message, ...trouble, hint: 'Try again. understudy status says why.' };
    }
    const message = `no connection to ${name} became free within ${waitMs} ms; nothing was sent`;
    return { severity: 'ERROR', code: '53300', message, ...trouble, hint: 'Try again, or make the pool larger.' };
  }

  #schedule(): void {
    if (this.#waiters.length === 0 || this.#timer !== null || this.#closed) return;
    this.#timer = setTimeout(() => {
      this.#timer = null;
      this.dispatch();
    }, RETRY_MIN_MS);
  }
}

/** Whether a login that was refused like this may be accepted a moment later. */
const isPassing = (code: string): boolean =>
  code === '57P03' || code === '53300' || code === '57P01' || code === '57P02' || code.startsWith('08');
