import { monotonicMs, reasonOf } from '@understudy/base';
import { formatLsn, lsn, type Member, type MemberId, type WalPosition } from '@understudy/core';
import { EngineError } from '@understudy/engine';
import { openOnce } from '../clone/source.ts';
import { readControlFile } from '../disk/control-file.ts';
import type { Instance } from '../instance.ts';
import { sqlStateOf } from '../sql/session.ts';
import { type BrokenCause, causeInLog } from './receiver-log.ts';

/** A receiver that has just lost its stream mostly has another one soon. */
const firstAfterMs = 2000;
const everyMs = 3000;
/** A server that refuses to stream says so at once. */
const refusalTimeoutMs = 1000;

export interface StreamRefusal {
  readonly cause: BrokenCause;
  readonly detail?: string;
}

/**
 * Finds out why there is no stream by asking for one as the receiver does, beside it and without its slot. What the receiver itself met stands
 * in the server's log alone, which may be anywhere and in any language.
 */
export class StreamAttempt {
  readonly #ask: (member: Member, from: WalPosition) => Promise<StreamRefusal | null>;
  readonly #nowMs: () => number;
  #members: ReadonlyMap<MemberId, Member> = new Map();
  #upstream: MemberId | null = null;
  #dueMs = 0;
  #streamingSinceMs: number | null = null;
  #work: Promise<void> | null = null;
  #last: StreamRefusal | null = null;
  #times = 0;

  /** @param ask see `askForStream` */
  constructor(
    ask: (member: Member, from: WalPosition) => Promise<StreamRefusal | null>,
    nowMs: () => number = monotonicMs,
  ) {
    this.#ask = ask;
    this.#nowMs = nowMs;
  }

  learn(members: ReadonlyMap<MemberId, Member>): void {
    this.#members = members;
  }

  /** A stream that the upstream refuses shows for a moment too: only one that lasts says that all is well. */
  sawStream(): void {
    const nowMs = this.#nowMs();
    this.#streamingSinceMs ??= nowMs;
    if (nowMs - this.#streamingSinceMs >= firstAfterMs) this.reset();
  }

  /** Nobody to have a stream from, or one that lasts. */
  reset(): void {
    this.#upstream = null;
    this.#streamingSinceMs = null;
    this.#last = null;
    this.#times = 0;
  }

  /**
   * What the upstream answers; null while it is not known. Asks again in the background.
   *
   * @param from where the stream would have to begin
   */
  look(upstream: MemberId, from: WalPosition): StreamRefusal | null {
    const nowMs = this.#nowMs();
    this.#streamingSinceMs = null;
    if (this.#upstream !== upstream) {
      this.reset();
      this.#upstream = upstream;
      this.#dueMs = nowMs + firstAfterMs;
    }
    const member = this.#members.get(upstream);
    if (member !== undefined && this.#work === null && nowMs >= this.#dueMs) {
      this.#dueMs = nowMs + everyMs;
      this.#work = this.#ask(member, from).then((found) => {
        this.#work = null;
        if (this.#upstream !== upstream) return;
        this.#times = found !== null && this.#last?.cause === found.cause ? this.#times + 1 : 1;
        this.#last = found;
      });
    }
    // What costs a copy must have been said twice.
    const isGrave = this.#last?.cause === 'wal-removed' || this.#last?.cause === 'history';
    return isGrave && this.#times < 2 ? null : this.#last;
  }
}

/** Asks a member for the log from that position; null when it begins to send it, or does not answer in time. */
export async function askForStream(
  instance: Instance,
  member: Member,
  from: WalPosition,
): Promise<StreamRefusal | null> {
  try {
    const { walSegmentBytes } = await readControlFile(instance.options.dataDir);
    const { session } = await openOnce(instance, member, 'replication');
    try {
      // As the startup process does: from the beginning of the file.
      const begin = formatLsn(lsn(from.lsn - (from.lsn % BigInt(walSegmentBytes))));
      await session.rows(`START_REPLICATION PHYSICAL ${begin} TIMELINE ${from.timeline}`, refusalTimeoutMs);
      return null;
    } finally {
      session.destroy();
    }
  } catch (error) {
    return refusalOf(error);
  }
}

/** What an answer to a request for the log means; null when it was no refusal: a stream began, and was cut by us. */
export function refusalOf(error: unknown): StreamRefusal | null {
  const state = sqlStateOf(error);
  const said = reasonOf(error);
  if (error instanceof EngineError && error.code === 'ENGINE_TIMEOUT') return null;
  if (state === undefined) return { cause: 'refused', detail: said };
  const told = causeInLog(said);
  if (told !== 'unknown') return told === 'login' ? { cause: told, detail: said } : { cause: told };
  if (state === '58P01') return { cause: 'wal-removed' };
  if (state.startsWith('28')) return { cause: 'login', detail: said };
  return { cause: state === '53300' ? 'refused' : 'unknown', detail: said };
}
