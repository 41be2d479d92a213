/**
 * The endpoints of one etcd cluster as one thing to ask. Requests that may be repeated go to the next endpoint when
 * one fails or is slow; requests that may not (transactions) go to one endpoint that has just proved to be well.
 */

import { Backoff, type Deadline, pause, type Revision } from '@understudy/base';
import type { z } from 'zod';
import { StoreError } from '../errors.ts';
import type { StoreId } from '../port.ts';
import { Connection, type Reply } from './connection.ts';
import type { Credentials } from './credentials.ts';
import type { Failure } from './failure.ts';
import { Identity } from './identity.ts';
import { authenticateResponse, type KeySpace, rangeResponse } from './messages.ts';
import { type Outcome, race } from './race.ts';
import { describeFailures, fromFailure, lastFailure } from './report.ts';
import type { TlsFiles } from './tls-files.ts';

/** A silent endpoint holds a repeatable request up for this long at most before the next one is asked too. */
const STAGGER_MS = 200;
/** After this much silence an endpoint has to answer a probe before a transaction is sent to it. */
const PROBE_AFTER_SILENCE_MS = 1_000;
const FIRST_PAUSE_MS = 10;
const LONGEST_PAUSE_MS = 100;
/**
 * How long one attempt at a repeatable request waits for one endpoint, in the first round; twice as long in each further one. A dead
 * endpoint must not use up the time in which the living ones have elected a leader; a slow one is waited for in the end.
 */
const FIRST_ATTEMPT_MS = 400;
/**
 * The same two for a login. etcd checks a password slowly on purpose (bcrypt, a tenth of a second of a processor that is free): asking again
 * soon would only add work.
 */
const LOGIN_STAGGER_MS = 1_000;
const LOGIN_ATTEMPT_MS = 1_600;
/** How long a transaction waits for its answer where other endpoints can say what became of it. */
const SENT_ONCE_MS = 600;
/** A fresh token can be refused once more when users change at that moment, not for ever. */
const MAX_TOKENS_PER_CALL = 3;

/** The path of linearizable reads. */
export const RANGE = '/v3/kv/range';

export interface ClusterOptions {
  readonly endpoints: readonly string[];
  readonly tls: TlsFiles;
  readonly credentials: Credentials | null;
  readonly keys: KeySpace;
}

/** One request: where it goes, what it says, and how its answer is read. */
export interface Call<Response extends z.ZodType> {
  readonly path: string;
  readonly body: object;
  readonly response: Response;
  readonly kind?: 'login';
}

type Attempt<T> = Outcome<T> | { readonly kind: 'untrusted' };

export class EtcdCluster {
  readonly identity = new Identity();
  readonly #options: ClusterOptions;
  readonly #closing = new AbortController();
  /** In order of preference: the endpoint that answered last comes first, those that failed come last. */
  #connections: Connection[];

  constructor(options: ClusterOptions) {
    this.#options = options;
    this.#connections = options.endpoints.map(
      (endpoint) => new Connection(endpoint, options.tls, (...answer) => this.identity.check(...answer)),
    );
  }

  get closing(): AbortSignal {
    return this.#closing.signal;
  }

  /** The endpoint that answered last. */
  get preferred(): Connection {
    const first = this.#connections[0];
    if (first === undefined) throw new Error('an etcd store has at least one endpoint');
    return first;
  }

  /**
   * Makes a request that may be carried out more than once. Tries until the deadline, unless every endpoint gave an
   * answer that trying again cannot change. Throws StoreError, never with retry `unknown`.
   */
  async repeatable<R extends z.ZodType>(call: Call<R>, deadline: Deadline): Promise<z.infer<R>> {
    return this.#limited(deadline, (signal) => this.#repeat(call, deadline, signal, (s) => this.token(deadline, s)));
  }

  /**
   * Makes a request that may be carried out at most once. It is sent a second time only when the first one certainly
   * had no effect. Throws StoreError; retry is `unknown` when the request was sent and its fate is not known.
   */
  async once<R extends z.ZodType>(call: Call<R>, deadline: Deadline): Promise<z.infer<R>> {
    return this.#limited(deadline, (signal) => this.#sendOnce(call, deadline, signal));
  }

  /** Proves that a member has a leader and is of the right cluster, and puts it first. */
  async probe(deadline: Deadline): Promise<void> {
    await this.repeatable({ path: RANGE, body: this.#options.keys.probeRequest(), response: rangeResponse }, deadline);
  }

  /** The token to send along, or null when none is needed. */
  async token(deadline: Deadline, signal: AbortSignal): Promise<string | null> {
    const { credentials } = this.#options;
    if (credentials === null) return null;
    return credentials.token(() => this.#authenticate(credentials, deadline, signal));
  }

  forgetToken(token: string | null): void {
    this.#options.credentials?.forget(token);
  }

  /** Puts an endpoint last after it failed. */
  demote(connection: Connection): void {
    this.#connections = [...this.#connections.filter((c) => c !== connection), connection];
  }

  /** Another store, or an older state of this one, is the known one from now on; nothing that was sent before counts. */
  adopt(clusterId: StoreId, revision: Revision): void {
    this.identity.adopt(clusterId, revision);
    for (const connection of this.#connections) connection.close();
  }

  close(): void {
    this.#closing.abort();
    for (const connection of this.#connections) connection.close();
  }

  #promote(connection: Connection): void {
    if (this.#connections[0] === connection) return;
    this.#connections = [connection, ...this.#connections.filter((c) => c !== connection)];
  }

  async #authenticate(credentials: Credentials, deadline: Deadline, signal: AbortSignal): Promise<string | null> {
    const call = {
      path: '/v3/auth/authenticate',
      body: { name: credentials.username, password: credentials.readPassword() },
      response: authenticateResponse,
      kind: 'login',
    } as const;
    try {
      return (await this.#repeat(call, deadline, signal, async () => null)).token;
    } catch (error) {
      // As etcd's own client does: with authentication off, go on without a token.
      if (error instanceof StoreError && error.message.includes('authentication is not enabled')) return null;
      throw error;
    }
  }

  async #repeat<R extends z.ZodType>(
    call: Call<R>,
    deadline: Deadline,
    signal: AbortSignal,
    getToken: (signal: AbortSignal) => Promise<string | null>,
  ): Promise<z.infer<R>> {
    const backoff = new Backoff(FIRST_PAUSE_MS, LONGEST_PAUSE_MS);
    const isLogin = call.kind === 'login';
    const staggerMs = Math.min(
      isLogin ? LOGIN_STAGGER_MS : STAGGER_MS,
      deadline.totalMs / (this.#connections.length + 1),
    );
    let failures: readonly Failure[] = [];
    let limitMs = this.#connections.length === 1 ? deadline.totalMs : isLogin ? LOGIN_ATTEMPT_MS : FIRST_ATTEMPT_MS;
    for (let tokens = 0; !signal.aborted; limitMs *= 2) {
      const token = await getToken(signal);
      const order = this.#connections;
      const attemptMs = limitMs;
      const starts = order.map((connection) => async (attemptSignal: AbortSignal) => {
        const attempt = await this.#attempt(connection, call, token, attemptSignal, 'any', attemptMs);
        // Only transactions ask for a trusted socket.
        return attempt.kind === 'untrusted' ? neverSent(connection.endpoint) : attempt;
      });
      const result = await race(starts, staggerMs, signal);
      if (result.kind === 'won') {
        const winner = order[result.index];
        if (winner !== undefined) this.#promote(winner);
        return result.value;
      }
      failures = result.failures;
      if (failures.some((f) => f.helps === 'token') && tokens < MAX_TOKENS_PER_CALL) {
        tokens += 1;
        this.forgetToken(token);
        continue;
      }
      const last = lastFailure(failures);
      if (last !== null) throw fromFailure(last, 'read');
      await pause(Math.min(backoff.nextMs(), deadline.remainingMs), signal);
    }
    throw describeFailures(failures, deadline, this.closing.aborted);
  }

  async #sendOnce<R extends z.ZodType>(call: Call<R>, deadline: Deadline, signal: AbortSignal): Promise<z.infer<R>> {
    const backoff = new Backoff(FIRST_PAUSE_MS, LONGEST_PAUSE_MS);
    let failures: readonly Failure[] = [];
    for (let tokens = 0; !signal.aborted; ) {
      if (this.preferred.silentMs > PROBE_AFTER_SILENCE_MS) await this.probe(deadline);
      const token = await this.token(deadline, signal);
      const connection = this.preferred;
      const limitMs = this.#connections.length === 1 ? deadline.totalMs : SENT_ONCE_MS;
      const attempt = await this.#attempt(connection, call, token, signal, 'trusted-only', limitMs);
      if (attempt.kind === 'value') return attempt.value;
      if (attempt.kind === 'untrusted') {
        await this.probe(deadline);
        continue;
      }
      const { failure } = attempt;
      if (failure.effect === 'unknown') {
        this.demote(connection);
        throw fromFailure(failure, 'transaction');
      }
      failures = [failure];
      if (failure.helps === 'token' && tokens < MAX_TOKENS_PER_CALL) {
        tokens += 1;
        this.forgetToken(token);
        continue;
      }
      if (failure.helps !== 'endpoint') throw fromFailure(failure, 'transaction');
      this.demote(connection);
      await pause(Math.min(backoff.nextMs(), deadline.remainingMs), signal);
    }
    throw describeFailures(failures, deadline, this.closing.aborted);
  }

  async #attempt<R extends z.ZodType>(
    connection: Connection,
    call: Call<R>,
    token: string | null,
    signal: AbortSignal,
    socket: 'any' | 'trusted-only',
    limitMs: number,
  ): Promise<Attempt<z.infer<R>>> {
    const floor = call.path === RANGE ? this.identity.seen : null;
    const reply: Reply = await within(limitMs, signal, (limited) =>
      connection.post(call.path, call.body, { token, signal: limited, socket, floor }),
    );
    if (reply.kind !== 'answer') return reply;
    const parsed = call.response.safeParse(reply.body);
    if (parsed.success) return { kind: 'value', value: parsed.data };
    const text = `an answer of ${call.path} could not be understood: ${parsed.error.issues[0]?.message ?? ''}`;
    const { endpoint } = connection;
    return {
      kind: 'failed',
      failure: { endpoint, code: 'protocol-error', effect: 'unknown', helps: 'endpoint', text },
    };
  }

  /** Runs `work` with a signal that aborts at the deadline or when the store is closed. */
  async #limited<T>(deadline: Deadline, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
    if (this.identity.lostPast !== null) throw fromFailure(this.identity.lostPast, 'read');
    return within(deadline.remainingMs, this.closing, work);
  }
}

function neverSent(endpoint: string): Outcome<never> {
  const failure = { endpoint, code: 'unavailable', effect: 'none', helps: 'endpoint', text: 'not sent' } as const;
  return { kind: 'failed', failure };
}

/** Runs `work` with a signal that aborts with the given one, or after `limitMs`. */
async function within<T>(limitMs: number, signal: AbortSignal, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const controller = new AbortController();
  const abort = () => controller.abort();
  const timer = setTimeout(abort, limitMs);
  if (signal.aborted) abort();
  else signal.addEventListener('abort', abort, { once: true });
  try {
    return await work(controller.signal);
  } finally {
    clearTimeout(timer);
    signal.removeEventListener('abort', abort);
  }
}
