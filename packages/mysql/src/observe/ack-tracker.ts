import {
  type AckRule,
  type AckState,
  contains,
  formatRule,
  type GtidPosition,
  type GtidSet,
  gtidSubtract,
  gtidUnion,
  type Position,
  type PromiseVoid,
} from '@understudy/core';
import { ackAccount, ackPrefix } from '../names.ts';

/** A connection that receives the log. */
export interface Reader {
  readonly id: number;
  readonly user: string;
}

/** What the running leader shows of its counting of acknowledgements. */
export interface AckSample {
  readonly enabled: 'on' | 'off';
  /** Whether commits wait; it can be off although it is enabled, when the server has given up waiting. */
  readonly status: 'on' | 'off';
  readonly required: number;
  readonly waitPoint: string;
  /** Accounts of the connections that receive the log. */
  readonly readers: readonly string[];
  readonly connections: readonly Reader[];
  /** Connections that members have besides, with their other login: one that goes on with a new login leaves the old one a moment later. */
  readonly twins?: number;
  /** How many connections the server takes acknowledgements from, whoever they are. */
  readonly clients: number;
  /** Transactions that are written but not committed yet (MySQL). */
  readonly inFlight: GtidSet;
  readonly position: GtidPosition;
  /** Commits that wait, and how many have been acknowledged so far. */
  readonly waiting: number;
  readonly acknowledged: number;
}

/** Somebody who acknowledged although the rule does not name him. */
export interface Stranger {
  readonly user: string;
  readonly host: string;
  /** `taken`: the account cannot receive the log of this server any more, until somebody grants it again. */
  readonly right: 'taken' | 'kept';
}

interface Proof {
  readonly pid: number;
  readonly rule: AckRule;
  readonly barrier: GtidPosition;
  /** Strangers who could not be ended, and have places of their own. */
  readonly strangers: number;
}

/** What the server may have answered although the rule was not fulfilled. It ends where the rule was proven again; null: not yet. */
interface Doubt {
  readonly pid: number;
  readonly why: string;
  readonly end: GtidPosition | null;
}

const strangersKept = 5;

/** What has been proven about acknowledgements in the present run of the server, and whether what is seen still agrees with it. */
export class AckTracker {
  #proven: Proof | null = null;
  #wanted: { readonly pid: number; readonly rule: AckRule } | null = null;
  #sample: { readonly pid: number; readonly sample: AckSample; readonly reporting: number } | null = null;
  #strange: { readonly pid: number; readonly looks: number } | null = null;
  #doubt: Doubt | null = null;
  #caught: { readonly pid: number; readonly strangers: readonly Stranger[] } | null = null;
  /** Commits wait for members who are not there, on a server where a kill would answer them. */
  #exposed: { readonly pid: number } | null = null;

  /** `barrier`: everything that was written before the rule was proven, committed or not. */
  prove(pid: number, rule: AckRule, barrier: GtidPosition, strangers = 0): void {
    this.#proven = { pid, rule, barrier, strangers };
    this.#wanted = { pid, rule };
    this.#sample = null;
    this.#strange = null;
    if (this.#doubt?.pid === pid) this.#doubt = { ...this.#doubt, end: barrier };
  }

  /** The server is about to count by `rule`. Nothing is proven any more: called before anything that could change it. */
  forget(next: { readonly pid: number; readonly rule: AckRule } | null = null): void {
    this.#proven = null;
    this.#wanted = next;
  }

  get rule(): AckRule | null {
    return this.#proven?.rule ?? null;
  }

  /** The rule that the server has, or is being given; null when this agent gave it none. */
  wanted(pid: number): AckRule | null {
    return this.#wanted?.pid === pid ? this.#wanted.rule : null;
  }

  /** @param reporting how many members of the rule say that they receive from here; infinite where a kill ends no wait. */
  seen(pid: number, sample: AckSample, reporting = Number.POSITIVE_INFINITY): void {
    const before = this.#sample?.pid === pid ? this.#sample : null;
    this.#sample = { pid, sample, reporting };
    this.#exposed = null;
    const rule = this.wanted(pid);
    if (rule === null) return;
    const isExposed = Number.isFinite(reporting) && sample.waiting > 0 && membersOf(sample, rule) < rule.required;
    if (isExposed) this.#exposed = { pid };
    const known = this.#proven?.pid === pid ? this.#proven.strangers : 0;
    const isStrange = strangersOf(sample, rule) > known;
    const looks = this.#strange?.pid === pid ? this.#strange.looks : 0;
    this.#strange = isStrange ? { pid, looks: looks + 1 } : null;
    if (this.#proven?.pid !== pid) return;
    const why = countsBy(sample, rule) ? this.#strangers(pid) : otherwise(sample, rule);
    if (why !== null) this.#doubt = { pid, why, end: null };
    // Whoever was there at one of the two looks may have answered between them.
    else if (before !== null && answeredAlone(before.sample, sample, rule, Math.max(before.reporting, reporting))) {
      // What was answered is in the log by now; what is answered from here on is looked at again.
      this.#doubt = { pid, why: endedWait, end: this.#doubt?.pid === pid ? this.#doubt.end : sample.position };
    }
  }

  /** The sentence about somebody else who acknowledges; only what is seen twice counts, as a connection that ends is still among the clients. */
  #strangers(pid: number): string | null {
    if (this.#strange?.pid !== pid || this.#strange.looks < 2) return null;
    return 'A replica that the rule does not name acknowledges commits of this server.';
  }

  /** `confirmed`: where the members of the rule say that they are. What was answered wrongly is made good when enough of them hold it. */
  confirmed(pid: number, confirmed: readonly Position[]): void {
    const doubt = this.#doubt;
    const proven = this.#proven;
    if (doubt === null || doubt.end === null || proven === null || proven.pid !== pid) return;
    const { end } = doubt;
    const holding = confirmed.filter((position) => contains(position, end));
    if (holding.length >= Math.max(1, proven.rule.required)) this.#doubt = null;
  }

  /** Somebody was found acknowledging whom the rule does not name. */
  caught(pid: number, stranger: Stranger): void {
    const others = this.strangers(pid).filter(({ user, host }) => user !== stranger.user || host !== stranger.host);
    this.#caught = { pid, strangers: [...others, stranger].slice(-strangersKept) };
  }

  /** Who was found in this run of the server and has not been let in again. */
  strangers(pid: number): readonly Stranger[] {
    return this.#caught?.pid === pid ? this.#caught.strangers : [];
  }

  /** Somebody granted the right again. */
  letIn(user: string): void {
    if (this.#caught === null) return;
    this.#caught = { ...this.#caught, strangers: this.#caught.strangers.filter((one) => one.user !== user) };
  }

  voids(pid: number): readonly PromiseVoid[] {
    const found: PromiseVoid[] = [];
    if (this.#doubt?.pid === pid) {
      const text = `${this.#doubt.why} What it answered meanwhile is not known to be on the members of the rule yet.`;
      found.push({ effect: 'loss', text });
    }
    if (this.#exposed?.pid === pid) found.push({ effect: 'assumed', text: exposedWait });
    return found;
  }

  /** The proven rule, as long as the server was not seen to count otherwise. */
  state(pid: number): AckState {
    const proven = this.#proven;
    if (proven === null || proven.pid !== pid) {
      const why = this.#doubt?.pid === pid ? this.#doubt.why : null;
      return { running: null, barrier: null, ...(why === null ? {} : { unproven: why }) };
    }
    const sample = this.#sample?.pid === pid ? this.#sample.sample : null;
    if (sample === null) return { running: proven.rule, barrier: proven.barrier };
    const why = countsBy(sample, proven.rule) ? this.#strangers(pid) : otherwise(sample, proven.rule);
    if (why !== null) return { running: null, barrier: null, unproven: why };
    return { running: proven.rule, barrier: stillOwed(proven.barrier, sample) };
  }
}

/** Whether a server that shows this can be one that counts by `rule`, or more strictly. */
export function countsBy(sample: AckSample, rule: AckRule): boolean {
  if (rule.required === 0) return sample.enabled === 'off';
  const allowed = new Set(rule.members.map(ackAccount));
  return (
    sample.enabled === 'on' &&
    sample.status === 'on' &&
    sample.required >= rule.required &&
    sample.waitPoint === 'AFTER_SYNC' &&
    sample.readers.every((user) => !user.startsWith(ackPrefix) || allowed.has(user))
  );
}

/** What such a server shows, as a sentence. */
function otherwise({ enabled, status, required, waitPoint, readers }: AckSample, rule: AckRule): string {
  const shown = `enabled ${enabled}, status ${status}, required ${required}, ${waitPoint}; connected: ${readers.join(', ') || 'nobody'}`;
  return `The server does not count by "${formatRule(rule)}" any more (${shown}): somebody changed it.`;
}

/**
 * How many acknowledge whom the rule does not name: those whom the server counts, less the members of the rule that are connected. An account
 * that is used twice counts once. A member that receives and does not acknowledge hides one; its own agent says that.
 */
export function strangersOf(
  { clients, readers, twins = 0 }: Pick<AckSample, 'clients' | 'readers' | 'twins'>,
  rule: AckRule,
): number {
  if (rule.required === 0) return 0;
  return Math.max(0, clients - membersOf({ readers }, rule) - twins);
}

/** How many members of the rule are connected as acknowledgers. */
export function membersOf({ readers }: Pick<AckSample, 'readers'>, rule: AckRule): number {
  return rule.members.filter((member) => readers.includes(ackAccount(member))).length;
}

const endedWait =
  'Commits were answered while too few members of the rule received them: somebody ended their wait (KILL, KILL QUERY or max_statement_time).';

const exposedWait =
  'Commits wait for members of the rule that are not connected: whoever ends the wait of one (KILL, KILL QUERY) makes the server answer them.';

/**
 * Whether commits were answered between two looks although too few members could have acknowledged them. A session of MariaDB that is killed
 * while it waits answers for all that wait with it, and counts that as acknowledged.
 */
function answeredAlone(before: AckSample, now: AckSample, rule: AckRule, reporting: number): boolean {
  if (rule.required === 0 || now.acknowledged <= before.acknowledged) return false;
  const connected = Math.max(membersOf(before, rule), membersOf(now, rule));
  return Math.min(connected, reporting) < rule.required;
}

/** A number that was taken but never committed (a client rolled back after it had chosen it itself) is not waited for. */
function stillOwed(barrier: GtidPosition, { inFlight, position }: AckSample): GtidPosition {
  const never = gtidSubtract(barrier.set, gtidUnion(position.set, inFlight));
  return never.size === 0 ? barrier : { ...barrier, set: gtidSubtract(barrier.set, never) };
}
