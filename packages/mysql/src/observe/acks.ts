import {
  type AckRule,
  type AckState,
  type GtidPosition,
  type GtidSet,
  gtidSubtract,
  gtidUnion,
} from '@understudy/core';
import { ackAccount, ackPrefix } from '../names.ts';

/** What the running leader shows of its counting of acknowledgements. */
export interface AckSample {
  readonly enabled: 'on' | 'off';
  /** Whether commits wait; it can be off although it is enabled, when the server has given up waiting. */
  readonly status: 'on' | 'off';
  readonly required: number;
  readonly waitPoint: string;
  /** Accounts of the connections that receive the log. */
  readonly readers: readonly string[];
  /** Transactions that are written but not committed yet (MySQL). */
  readonly inFlight: GtidSet;
  readonly position: GtidPosition;
  /** Commits that wait, and how many have been acknowledged so far. */
  readonly waiting: number;
  readonly acknowledged: number;
}

interface Proof {
  readonly pid: number;
  readonly rule: AckRule;
  readonly barrier: GtidPosition;
}

/** What has been proven about acknowledgements in the present run of the server, and whether what is seen still agrees with it. */
export class AckTracker {
  #proven: Proof | null = null;
  #sample: { readonly pid: number; readonly sample: AckSample } | null = null;

  /** `barrier`: everything that was written before the rule was proven, committed or not. */
  prove(pid: number, rule: AckRule, barrier: GtidPosition): void {
    this.#proven = { pid, rule, barrier };
    this.#sample = null;
  }

  /** Nothing is proven any more: called before anything that could change the rule. */
  forget(): void {
    this.#proven = null;
  }

  get rule(): AckRule | null {
    return this.#proven?.rule ?? null;
  }

  seen(pid: number, sample: AckSample): void {
    this.#sample = { pid, sample };
  }

  /** The proven rule, as long as the server was not seen to count otherwise. */
  state(pid: number): AckState {
    const proven = this.#proven;
    if (proven === null || proven.pid !== pid) return { running: null, barrier: null };
    const sample = this.#sample?.pid === pid ? this.#sample.sample : null;
    if (sample !== null && !countsBy(sample, proven.rule)) return { running: null, barrier: null };
    return { running: proven.rule, barrier: sample === null ? proven.barrier : stillOwed(proven.barrier, sample) };
  }
}

/** Whether a server that shows this can be one that counts by `rule`. */
export function countsBy(sample: AckSample, rule: AckRule): boolean {
  if (rule.required === 0) return sample.enabled === 'off';
  const allowed = new Set(rule.members.map(ackAccount));
  return (
    sample.enabled === 'on' &&
    sample.status === 'on' &&
    sample.required === rule.required &&
    sample.waitPoint === 'AFTER_SYNC' &&
    sample.readers.every((user) => !user.startsWith(ackPrefix) || allowed.has(user))
  );
}

/** A number that was taken but never committed (a client rolled back after it had chosen it itself) is not waited for. */
function stillOwed(barrier: GtidPosition, { inFlight, position }: AckSample): GtidPosition {
  const never = gtidSubtract(barrier.set, gtidUnion(position.set, inFlight));
  return never.size === 0 ? barrier : { ...barrier, set: gtidSubtract(barrier.set, never) };
}
