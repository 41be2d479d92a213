import type { AckRule, AckState, Position } from '@understudy/core';
import { formatStandbyNames } from '../names.ts';

/** What has been proven about acknowledgements in the present run of the server. */
export class AckTracker {
  readonly #cluster: string;
  #proven: { readonly pid: number; readonly rule: AckRule; readonly barrier: Position } | null = null;
  /** Somebody outside of the rule could acknowledge. `until`: the end of the log after the last one was seen; null while one is there. */
  #foreign: { readonly pid: number; readonly text: string; readonly until: Position | null } | null = null;

  constructor(cluster: string) {
    this.#cluster = cluster;
  }

  prove(pid: number, rule: AckRule, barrier: Position): void {
    this.#proven = { pid, rule, barrier };
  }

  /** Nothing is proven any more: called before anything that could change the rule. */
  forget(): void {
    this.#proven = null;
  }

  /**
   * Takes note of who else could acknowledge, as seen just now (null: nobody). What such a one let through is safe only when enough members
   * hold it: until then the rule stays unproven, also after the connection has ended.
   *
   * @param end the end of the log, read after the connections were
   * @param holds whether enough members of the proven rule have confirmed a position
   */
  noteForeign(pid: number, text: string | null, end: Position, holds: (position: Position) => boolean): void {
    if (this.#foreign?.pid !== pid) this.#foreign = null;
    if (text !== null) this.#foreign = { pid, text, until: null };
    else if (this.#foreign !== null) {
      const until = this.#foreign.until ?? end;
      this.#foreign = holds(until) ? null : { ...this.#foreign, until };
    }
  }

  get provenRule(): AckRule | null {
    return this.#proven?.rule ?? null;
  }

  /** The proven rule, as long as the running value of `synchronous_standby_names` is still the one that was proven, and nobody else can acknowledge. */
  state(pid: number, runningNames: string): AckState {
    const proven = this.#proven;
    if (this.#foreign !== null) return { running: null, barrier: null, unproven: this.#foreign.text };
    if (proven === null || proven.pid !== pid) return { running: null, barrier: null };
    if (formatStandbyNames(this.#cluster, proven.rule) !== runningNames) {
      const text = `synchronous_standby_names is ${JSON.stringify(runningNames)}, which Understudy did not set: commits may be acknowledged without the members that the rule names.`;
      return { running: null, barrier: null, unproven: text };
    }
    return { running: proven.rule, barrier: proven.barrier };
  }
}
