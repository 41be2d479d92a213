import type { AckRule, AckState } from '@understudy/core';
import { memberName } from '../server/acks.ts';
import { requiredBy } from '../server/semi-sync.ts';
import type { SimServer } from '../server/server.ts';
import { toPosition } from '../wal/position.ts';

/**
 * What the engine adapter of MySQL and MariaDB has proven about acknowledgements in the present run of the server: it was made to count by
 * `rule`, and what it shows still agrees. Lives in the agent's memory, so a new agent sets the rule anew.
 */
export class AccountProof {
  #proven: { readonly life: number; readonly rule: AckRule; readonly barrierLsn: number } | null = null;

  /** Called when the rule is in force: whatever is written by now may have been acknowledged by another. */
  prove(server: SimServer, rule: AckRule): void {
    this.#proven = { life: server.life, rule, barrierLsn: server.lsn };
  }

  /** Called before anything that could change the rule. */
  forget(): void {
    this.#proven = null;
  }

  get rule(): AckRule | null {
    return this.#proven?.rule ?? null;
  }

  state(server: SimServer): AckState {
    const proven = this.#proven;
    const { branch } = server;
    if (proven === null || branch === null || proven.life !== server.life || !countsBy(server, proven.rule)) {
      return { running: null, barrier: null };
    }
    return { running: proven.rule, barrier: toPosition(branch, proven.barrierLsn) };
  }
}

/** Whether a server that shows this can be one that counts by `rule`. */
export function countsBy(server: SimServer, { required, members }: AckRule): boolean {
  if (required === 0) return !server.waitsForStandbys;
  const others = server.senders.some(({ account, sink }) => account === 'ack' && !members.includes(memberName(sink)));
  const shown = server.flavour === 'mariadb' ? required : requiredBy(server);
  return server.waitsForStandbys && shown >= required && !others;
}
