import type { Probed, ProbeSubject } from '@understudy/engine/host';
import { serverErrorOf } from '../errors.ts';
import type { Instance } from '../instance.ts';
import type { Session } from '../sql/session.ts';

const timeoutMs = 1200;

const CANNOT_MAKE_THREAD = 1135;

type Parts = Pick<Instance, 'sql' | 'process' | 'facts'>;

const well: Probed = { result: 'well', trouble: null };

/** How MySQL and MariaDB are probed. Where nothing was written since the last look, the proof that a leader's log reaches the disk costs nothing. */
export class MysqlProbe implements ProbeSubject {
  readonly #instance: Parts;

  constructor(instance: Parts) {
    this.#instance = instance;
  }

  get server(): Parts['process'] {
    return this.#instance.process;
  }

  get facts(): Parts['facts'] {
    return this.#instance.facts;
  }

  forget(): void {}

  async look(): Promise<Probed> {
    const { sql, facts } = this.#instance;
    try {
      await sql.fresh(timeoutMs, (session) => this.#check(session, facts.role));
      return well;
    } catch (error) {
      const number = serverErrorOf(error);
      // A server that answers with a refusal (too many connections) is alive; one that can make no thread serves nobody new.
      return number === undefined || number === CANNOT_MAKE_THREAD ? { result: 'failing', trouble: null } : well;
    }
  }

  async #check(session: Session, role: string): Promise<void> {
    if (role === 'primary') await session.query('flush no_write_to_binlog engine logs', [], timeoutMs);
  }
}
