import { Backoff, monotonicMs, pause, reasonOf } from '@understudy/base';
/** This agent's session: a lease in the store with the key `sessions/<member>` on it, renewed as long as the agent lives. */

import { type Incarnation, leaseUntil, type MemberId, type Ms } from '@understudy/core';
import { type KeyValue, type Lease, type Store, StoreError } from '@understudy/store';
import { decodeSession, encodeStoreValue, StoreValueError } from '../codec/store-values.ts';
import type { StoreLink } from '../store/link.ts';

export type SessionState =
  | { readonly kind: 'none'; readonly problem: string | null }
  /** Valid until `until`, counted from when the last renewal was sent. */
  | { readonly kind: 'held'; readonly until: Ms }
  /** Another agent holds this member's name; `since` when it was first seen doing so. */
  | { readonly kind: 'foreign'; readonly holder: string; readonly since: Ms };

export interface SessionOptions {
  readonly store: Store;
  readonly link: StoreLink;
  readonly member: MemberId;
  readonly incarnation: Incarnation;
  /** Incarnations of earlier agents of this run directory, which are known to be dead. */
  readonly predecessors: readonly Incarnation[];
  readonly ttlMs: () => number;
  readonly onChange: () => void;
}

const REFUSED_AGAIN_MS = 500;

interface Grant {
  readonly lease: Lease;
  /** The time to live that was asked for; the granted one may be longer. */
  readonly askedMs: number;
  /** `contested`: another lease was sent to take the key over, and may have. This one proves nothing beyond what both would grant. */
  readonly key: 'ours' | 'contested';
}

export class Session {
  readonly #options: SessionOptions;
  readonly #stop = new AbortController();
  readonly #backoff = new Backoff(100, 500);
  #grant: Grant | null = null;
  #until: Ms | null = null;
  #state: SessionState = { kind: 'none', problem: null };
  #running: Promise<void> | null = null;

  constructor(options: SessionOptions) {
    this.#options = options;
  }

  get state(): SessionState {
    return this.#state;
  }

  /** Own lease: valid until then. Null when it is not held. */
  get leaseUntil(): Ms | null {
    return this.#state.kind === 'held' && this.#state.until > monotonicMs() ? this.#state.until : null;
  }

  start(): void {
    this.#running ??= this.#run();
  }

  /** Ends the session at once, so that nobody has to wait for its end. Never throws. */
  async close(): Promise<void> {
    this.#stop.abort();
    await this.#running;
    if (this.#grant === null) return;
    const { id } = this.#grant.lease;
    this.#grant = null;
    // A store that cannot be reached lets the lease run out by itself.
    await this.#options.store.revoke(id, { deadlineMs: 500 }).catch(() => undefined);
  }

  async #run(): Promise<void> {
    while (!this.#stop.signal.aborted) {
      const pauseMs = await this.#step();
      await pause(pauseMs, this.#stop.signal);
    }
  }

  /** One attempt to hold the session; returns when to come again. Never throws. */
  async #step(): Promise<number> {
    const ttlMs = this.#options.ttlMs();
    try {
      const pauseMs = this.#grant === null ? await this.#acquire(ttlMs) : await this.#renew(this.#grant, ttlMs);
      this.#backoff.reset();
      return pauseMs;
    } catch (error) {
      this.#options.link.noteContact(error instanceof StoreError ? error : null);
      const problem = reasonOf(error);
      if (error instanceof StoreError && error.code === 'lease-expired') this.#grant = null;
      const stillValid = this.#until !== null && this.#until > monotonicMs() && this.#grant !== null;
      if (!stillValid) this.#become({ kind: 'none', problem });
      return this.#backoff.nextMs();
    }
  }

  async #acquire(ttlMs: number): Promise<number> {
    const { store, link, member, incarnation } = this.#options;
    const deadlineMs = callDeadlineMs(ttlMs);
    await link.refresh(deadlineMs);
    if (link.refusal !== null) {
      // What it holds is not acted on, a session there neither: who restores it begins anew.
      this.#grant = null;
      this.#become({ kind: 'none', problem: link.refusal });
      return REFUSED_AGAIN_MS;
    }
    const key = `sessions/${member}`;
    const present = link.snapshot?.entries.get(key);
    const holder = present === undefined ? null : holderOf(present);
    if (holder !== null && !this.#isOurs(holder)) {
      this.#grant = null;
      this.#become({ kind: 'foreign', holder, since: this.#foreignSince() });
      return Math.min(250, ttlMs / 4);
    }
    const sentAt = monotonicMs();
    const lease = await store.grantLease(ttlMs, { deadlineMs });
    const compare =
      present === undefined
        ? ({ kind: 'absent', key } as const)
        : ({ kind: 'unchanged', key, modRevision: present.modRevision } as const);
    const value = encodeStoreValue(incarnation);
    this.#contest(leaseUntil(sentAt, lease.ttlMs));
    const result = await link.transact([compare], [{ kind: 'put', key, value, lease: lease.id }], deadlineMs);
    if (result.kind === 'rejected') return 0;
    this.#grant = { lease, askedMs: ttlMs, key: 'ours' };
    this.#hold(leaseUntil(sentAt, lease.ttlMs));
    return ttlMs / 4;
  }

  async #renew(grant: Grant, ttlMs: number): Promise<number> {
    const { store, link } = this.#options;
    if (grant.askedMs !== ttlMs || grant.key === 'contested' || this.#keyIsLost()) {
      // A new lease takes the key over first, so that the session is never absent in between.
      const pauseMs = await this.#acquire(ttlMs);
      if (this.#grant?.lease.id === grant.lease.id) return pauseMs;
      await store.revoke(grant.lease.id, { deadlineMs: callDeadlineMs(ttlMs) }).catch(() => undefined);
      return pauseMs;
    }
    const sentAt = monotonicMs();
    const result = await store.keepAlive(grant.lease.id, { deadlineMs: callDeadlineMs(ttlMs) });
    link.noteContact(null);
    if (result.kind === 'alive') {
      this.#hold(leaseUntil(sentAt, result.ttlMs));
      await link.probeWrites(callDeadlineMs(ttlMs));
      return ttlMs / 4;
    }
    this.#grant = null;
    this.#become({ kind: 'none', problem: 'The lease ran out.' });
    return 0;
  }

  /** Whether a snapshot shows the key gone or in other hands, although the lease lives. */
  #keyIsLost(): boolean {
    const present = this.#options.link.snapshot?.entries.get(`sessions/${this.#options.member}`);
    return present === undefined || holderOf(present) !== this.#options.incarnation;
  }

  #isOurs(holder: string): boolean {
    const { incarnation, predecessors } = this.#options;
    return holder === incarnation || predecessors.some((predecessor) => predecessor === holder);
  }

  #foreignSince(): Ms {
    return this.#state.kind === 'foreign' ? this.#state.since : monotonicMs();
  }

  /**
   * Before a new lease is sent to take the key over. Its answer may get lost: from now on only what both leases would grant is certain,
   * and the old one is not renewed any more. Otherwise a store that took the shorter one could let others in while this agent believes
   * in the longer one.
   */
  #contest(until: Ms): void {
    if (this.#grant !== null) this.#grant = { ...this.#grant, key: 'contested' };
    if (this.#until === null || this.#until <= until) return;
    this.#until = until;
    if (this.#state.kind === 'held') this.#state = { kind: 'held', until };
  }

  #hold(until: Ms): void {
    this.#until = until;
    this.#become({ kind: 'held', until });
  }

  #become(state: SessionState): void {
    const changed = state.kind !== this.#state.kind;
    this.#state = state;
    if (changed) this.#options.onChange();
  }
}

const callDeadlineMs = (ttlMs: number): number => Math.min(2_000, ttlMs / 3);

function holderOf(entry: KeyValue): string {
  try {
    return decodeSession(entry.key, entry.value);
  } catch (error) {
    // Not readable here, so certainly not ours: treated as somebody else's.
    if (error instanceof StoreValueError) return 'an unreadable value';
    throw error;
  }
}
