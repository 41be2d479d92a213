import type { AckRule, AckState, Position } from '@understudy/core';
import { formatStandbyNames } from '../names.ts';

/** What has been proven about acknowledgements in the present run of the server. */
export class AckTracker {
  #proven: { readonly pid: number; readonly rule: AckRule; readonly barrier: Position } | null = null;

  prove(pid: number, rule: AckRule, barrier: Position): void {
    this.#proven = { pid, rule, barrier };
  }

  /** Nothing is proven any more: called before anything that could change the rule. */
  forget(): void {
    this.#proven = null;
  }

  /** The proven rule, as long as the running value of `synchronous_standby_names` is still the one that was proven. */
  state(pid: number, runningNames: string): AckState {
    const proven = this.#proven;
    if (proven === null || proven.pid !== pid || formatStandbyNames(proven.rule) !== runningNames) {
      return { running: null, barrier: null };
    }
    return { running: proven.rule, barrier: proven.barrier };
  }
}
