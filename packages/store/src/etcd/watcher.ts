/**
 * One watch of the cluster's keys: read everything, open a stream of events, and read everything again once the stream
 * stands, so that nothing falls into the gap; then apply the events. When the stream ends for any reason (endpoint
 * gone, leader lost, revision compacted) it starts over. That cannot miss the last state, and with tens of keys it
 * costs no more than resuming from a revision would, and needs none to be still there.
 */

import type { IncomingMessage } from 'node:http';
import { Backoff, Deadline, monotonicMs, pause } from '@understudy/base';
import { StoreError } from '../errors.ts';
import { deliverError, deliverSnapshot } from '../listener.ts';
import type { Snapshot, Watch, WatchListener } from '../port.ts';
import type { EtcdCluster } from './cluster.ts';
import type { Connection } from './connection.ts';
import { type Failure, judgeStatus } from './failure.ts';
import { type KeySpace, type WatchMessage, watchMessage } from './messages.ts';
import { fromFailure } from './report.ts';

const READ_DEADLINE_MS = 1_000;
/** How long an endpoint may take to confirm a watch. */
const CREATE_DEADLINE_MS = 1_000;
/** A silent stream is checked against a linearizable read this often. */
const CHECK_MS = 5_000;
const TICK_MS = 500;
const MAX_LINE_LENGTH = 64 * 1024 * 1024;

/** Why a stream of events ended. */
type End = { readonly kind: 'again' } | { readonly kind: 'refused'; readonly failure: Failure };

export class EtcdWatch implements Watch {
  readonly #cluster: EtcdCluster;
  readonly #keys: KeySpace;
  readonly #listener: WatchListener;
  readonly #read: (deadline: Deadline) => Promise<Snapshot>;
  readonly #closing = new AbortController();
  readonly #running: Promise<void>;
  #state: Snapshot | null = null;

  constructor(
    cluster: EtcdCluster,
    keys: KeySpace,
    read: (deadline: Deadline) => Promise<Snapshot>,
    listener: WatchListener,
  ) {
    this.#cluster = cluster;
    this.#keys = keys;
    this.#read = read;
    this.#listener = listener;
    this.#running = this.#run();
  }

  async close(): Promise<void> {
    this.#closing.abort();
    await this.#running;
  }

  /** Never rejects: whatever goes wrong is reported and tried again. */
  async #run(): Promise<void> {
    const backoff = new Backoff(20, 400);
    while (!this.#closing.signal.aborted) {
      try {
        await this.#refresh();
        const startedMs = monotonicMs();
        const end = await this.#follow();
        if (end.kind === 'refused') throw fromFailure(end.failure, 'read');
        if (monotonicMs() - startedMs > CHECK_MS) backoff.reset();
      } catch (error) {
        if (this.#closing.signal.aborted) return;
        deliverError(this.#listener, asStoreError(error));
      }
      await pause(backoff.nextMs(), this.#closing.signal);
    }
  }

  /** Reads everything and delivers it if it is news. */
  async #refresh(): Promise<void> {
    const fresh = await this.#read(new Deadline(READ_DEADLINE_MS));
    this.#adopt(fresh, this.#state === null || differs(this.#state, fresh));
  }

  /** Revisions only grow for the listener, also when a read and an event cross each other. */
  #adopt(next: Snapshot, isNews: boolean): void {
    if (this.#closing.signal.aborted) return;
    if (this.#state !== null && next.revision < this.#state.revision) return;
    this.#state = next;
    if (isNews) deliverSnapshot(this.#listener, next);
  }

  /** Follows one stream until it ends. */
  async #follow(): Promise<End> {
    const connection = this.#cluster.preferred;
    const stream = new AbortController();
    const stop = () => stream.abort();
    this.#closing.signal.addEventListener('abort', stop, { once: true });
    this.#cluster.closing.addEventListener('abort', stop, { once: true });
    const createTimer = setTimeout(stop, CREATE_DEADLINE_MS);
    try {
      const token = await this.#cluster.token(new Deadline(READ_DEADLINE_MS), stream.signal);
      const body = this.#keys.watchRequest();
      const opened = await connection.stream('/v3/watch', body, {
        token,
        signal: stream.signal,
        socket: 'any',
        floor: null,
      });
      if (opened.kind !== 'response') {
        if (opened.kind === 'failed') return this.#ended(connection, token, opened.failure);
        return { kind: 'again' };
      }
      const check = this.#startChecks(connection, stop);
      try {
        const failure = await this.#consume(connection, opened.response, () => {
          clearTimeout(createTimer);
          check.sawLife();
        });
        return failure === null ? { kind: 'again' } : this.#ended(connection, token, failure);
      } finally {
        await check.stop();
      }
    } finally {
      clearTimeout(createTimer);
      stop();
      this.#closing.signal.removeEventListener('abort', stop);
      this.#cluster.closing.removeEventListener('abort', stop);
    }
  }

  /** Only what nothing but a person can change is reported from here; the rest shows when the next read fails. */
  #ended(connection: Connection, token: string | null, failure: Failure): End {
    if (failure.helps === 'token') this.#cluster.forgetToken(token);
    if (failure.helps === 'nothing') return { kind: 'refused', failure };
    this.#cluster.demote(connection);
    return { kind: 'again' };
  }

  /** Reads messages until the stream ends. Returns the failure that ended it, or null when it just broke off. */
  async #consume(connection: Connection, response: IncomingMessage, onLife: () => void): Promise<Failure | null> {
    response.setEncoding('utf8');
    let rest = '';
    try {
      for await (const chunk of response) {
        rest += String(chunk);
        if (rest.length > MAX_LINE_LENGTH) throw protocolError('a message is too long');
        const lines = rest.split('\n');
        rest = lines.pop() ?? '';
        for (const line of lines) {
          onLife();
          const end = await this.#take(connection, line);
          if (end !== 'go-on') return end;
        }
      }
    } catch (error) {
      if (error instanceof StoreError) throw error;
      // The connection broke; the read that follows tells whether the store as a whole is gone.
      this.#cluster.demote(connection);
    }
    return null;
  }

  async #take(connection: Connection, line: string): Promise<Failure | null | 'go-on'> {
    if (line.trim() === '') return 'go-on';
    const message = parseMessage(line);
    if ('error' in message) return judgeStatus(connection.endpoint, message.error.code, message.error.message);
    const { header, created, canceled, compact_revision: compacted, cancel_reason: reason, events } = message.result;
    const mismatch = this.#cluster.identity.check(
      { clusterId: header.cluster_id, revision: header.revision },
      connection.endpoint,
      null,
    );
    if (mismatch !== null) return mismatch;
    if (canceled) {
      if (compacted > 0 || reason === '') return null;
      return judgeStatus(connection.endpoint, reason.includes('permission denied') ? 7 : 14, reason);
    }
    // Events that come meanwhile wait in the stream: the state may lack what was written before it stood.
    if (created) await this.#refresh();
    if (this.#state !== null) {
      const next = this.#keys.applyEvents(this.#state, events);
      this.#cluster.identity.note(next.revision);
      if (next !== this.#state) this.#adopt(next, true);
    }
    return 'go-on';
  }

  /**
   * Ends a stream that withholds news: a frozen or cut-off member's stream stays open and silent. Looks whether other
   * requests have turned to another endpoint, and compares the state with a linearizable read now and then.
   */
  #startChecks(connection: Connection, endStream: () => void): { sawLife(): void; stop(): Promise<void> } {
    let lastLifeMs = monotonicMs();
    const stopping = new AbortController();
    const loop = async () => {
      while (!stopping.signal.aborted) {
        await pause(TICK_MS, stopping.signal);
        if (this.#cluster.preferred !== connection) break;
        if (stopping.signal.aborted || monotonicMs() - lastLifeMs < CHECK_MS) continue;
        lastLifeMs = monotonicMs();
        if (await this.#hasMissedNews()) break;
      }
      endStream();
    };
    const running = loop();
    return {
      sawLife: () => {
        lastLifeMs = monotonicMs();
      },
      stop: async () => {
        stopping.abort();
        await running;
      },
    };
  }

  /** Reads everything; true when that brought something that the stream did not, or failed. */
  async #hasMissedNews(): Promise<boolean> {
    const before = this.#state;
    try {
      await this.#refresh();
      return before !== null && this.#state !== null && differs(before, this.#state);
    } catch (error) {
      if (!this.#closing.signal.aborted) deliverError(this.#listener, asStoreError(error));
      return true;
    }
  }
}

/** Whether two states hold other keys or other versions of them. Revisions alone also grow by foreign writes. */
function differs(a: Snapshot, b: Snapshot): boolean {
  if (a.entries.size !== b.entries.size) return true;
  for (const [key, entry] of b.entries) {
    if (a.entries.get(key)?.modRevision !== entry.modRevision) return true;
  }
  return false;
}

function parseMessage(line: string): WatchMessage {
  try {
    return watchMessage.parse(JSON.parse(line));
  } catch (cause) {
    throw protocolError('a message could not be understood', cause);
  }
}

function asStoreError(error: unknown): StoreError {
  return error instanceof StoreError ? error : protocolError(String(error), error);
}

function protocolError(text: string, cause?: unknown): StoreError {
  return new StoreError('protocol-error', `etcd watch: ${text}.`, { retry: 'safe', cause });
}
