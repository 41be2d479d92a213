import type { AckRule, AckState } from '@understudy/core';
import { ruleIsLoaded } from '../server/acks.ts';
import { writeBarrier } from '../server/lifecycle.ts';
import type { SimServer } from '../server/server.ts';
import { toPosition } from '../wal/position.ts';

/**
 * What the engine adapter knows about the rule that a running primary counts by: proven only when every process of the server has
 * loaded it, and followed by a record in the log, the barrier. Lives in the agent's memory, so a new agent proves it anew.
 */
export class RuleProof {
  #life = -1;
  #rule: AckRule | null = null;
  #barrierLsn = 0;

  /** The proof as it stands; makes it, and writes the barrier, when all processes agree and no proof was held. */
  state(server: SimServer): AckState {
    const { branch } = server;
    const loaded = ruleIsLoaded(server) && branch !== null;
    if (!loaded || branch === null) {
      this.#rule = null;
      return { running: null, barrier: null };
    }
    if (this.#life !== server.life || this.#rule !== server.configuredRule) {
      this.#life = server.life;
      this.#rule = server.configuredRule;
      this.#barrierLsn = writeBarrier(server);
    }
    return { running: this.#rule, barrier: toPosition(branch, this.#barrierLsn) };
  }
}
