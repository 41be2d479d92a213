import { copyAnew } from '../conflicts/copy.ts';
import { Findings } from '../conflicts/findings.ts';
import { RepairRecord } from '../conflicts/record.ts';
import { repairRow } from '../conflicts/repair-row.ts';
import { currentStops, objectionTo, repairStop } from '../conflicts/repair-stop.ts';
import type { PairRequest, PairStatus, Problem, RepairPlan, RepairResult } from '../control/protocol.ts';
import { statusOf } from '../control/status.ts';
import { otherSide, type SideName } from '../decide/sides.ts';
import { PairError } from '../errors.ts';
import { link } from '../server/link.ts';
import { repairSteps } from './repair-steps.ts';
import type { Supervisor } from './supervisor.ts';

const reopenMs = 10_000;

/** What the process that runs a pair answers. */
export class Desk {
  readonly #supervisor: Supervisor;
  readonly #findings: Findings;
  readonly #version: string;

  /** @param version of the servers. */
  constructor(supervisor: Supervisor, version: string) {
    this.#supervisor = supervisor;
    this.#findings = new Findings(supervisor);
    this.#version = version;
  }

  /** Begins to look for disagreements. */
  start(): void {
    this.#findings.start();
  }

  ended(): Promise<void> {
    return this.#findings.ended();
  }

  status(): PairStatus {
    const { problems, comparison } = this.#findings;
    return statusOf(this.#supervisor, this.#version, { problems, comparison });
  }

  /** @throws PairError */
  async handle(request: PairRequest): Promise<unknown> {
    switch (request.op) {
      case 'status':
        return this.status();
      case 'switch':
        return this.#supervisor.switchActive(request.to, request.timeoutMs);
      case 'writers':
        await this.#supervisor.changeWriters(request.writers, request.timeoutMs);
        return { writers: request.writers };
      case 'check':
        return this.#findings.check(request.timeoutMs);
      case 'plan':
        return this.#plan(request.id, request.keep);
      case 'repair':
        return this.#repair(request.id, request.keep, request.timeoutMs);
    }
  }

  async #plan(id: string, keep: SideName): Promise<RepairPlan> {
    const problem = this.#problem(id, keep);
    await this.#requireRepairable(problem, keep);
    return { id, problem, steps: [...repairSteps(problem, keep, this.#supervisor.ledger.memory)] };
  }

  #problem(id: string, keep: SideName): Problem {
    if (id === 'copy') {
      const text = `All data of ${otherSide(keep)} is replaced by a new copy of ${keep}.`;
      return { id, kind: 'table', text, table: null, key: null, rows: [], artifact: null };
    }
    const found = this.#findings.problems.find((each) => each.id === id);
    if (found !== undefined) return found;
    const known = this.#findings.problems.map((each) => each.id);
    const next = known.length === 0 ? 'There is nothing to repair.' : `There is: ${known.join(', ')}.`;
    throw new PairError('PAIR_REFUSED', `There is no problem "${id}".`, { next });
  }

  async #requireRepairable({ kind, id }: Problem, keep: SideName): Promise<void> {
    const { memory } = this.#supervisor.ledger;
    if (kind === 'stop') {
      const objection = objectionTo(await currentStops(this.#supervisor.servers));
      if (objection !== null) throw new PairError('PAIR_REFUSED', objection);
    }
    if (kind === 'table' && id !== 'copy') {
      const text = 'A whole table is not put right row by row.';
      throw new PairError('PAIR_REFUSED', text, { next: 'Mend it yourself, or use: understudy pair repair copy' });
    }
    if (id === 'copy' && memory.active !== keep) {
      const text = `${otherSide(keep)} is the active server, and its data would be replaced.`;
      throw new PairError('PAIR_REFUSED', text, { next: `First: understudy pair switch --to ${keep}` });
    }
  }

  async #repair(id: string, keep: SideName, timeoutMs: number): Promise<RepairResult> {
    const { ledger, servers, paths, signal } = this.#supervisor;
    const record = new RepairRecord(paths.folder, id, keep);
    const context = { servers, record, withinMs: timeoutMs, signal };
    const work = this.#supervisor.exclusively(async () => {
      const problem = this.#problem(id, keep);
      await this.#requireRepairable(problem, keep);
      if (id === 'copy') return this.#copy(keep);
      if (problem.kind === 'apart') return this.#decideApart(keep);
      if (problem.kind === 'stop') await repairStop(context, keep);
      else {
        const row = this.#findings.row(id);
        if (row?.shape == null || row.key === null) throw new PairError('PAIR_REFUSED', `${id} has no row.`);
        await repairRow(context, { shape: row.shape, key: row.key }, keep);
      }
      await record.end();
      this.#findings.forget(id);
      const text = `Repaired ${id}: the rows of ${keep} were kept; what was discarded is in ${record.path}.`;
      await ledger.tell('good', text);
      return null;
    });
    // Whatever became of it, the supervisor opens again what should be open.
    const done = await work.finally(() => this.#supervisor.settled(reopenMs));
    await this.#findings.lookAtStops().catch(() => undefined);
    if (done !== null) return { id, ...done };
    return { id, done: [...record.done], artifact: record.path };
  }

  async #decideApart(keep: SideName): Promise<Omit<RepairResult, 'id'>> {
    const { ledger, servers } = this.#supervisor;
    const { apart } = ledger.memory;
    if (apart === null) throw new PairError('PAIR_REFUSED', 'No server is set apart.');
    if (keep !== apart.side) return this.#copy(keep);
    const active = otherSide(apart.side);
    await link(servers[active], servers[apart.side]);
    const text = `${active} receives the ${apart.count} late transactions of ${apart.side}.`;
    await ledger.record({ apart: null }, 'warn', text);
    return { done: [text], artifact: apart.artifact };
  }

  async #copy(keep: SideName): Promise<Omit<RepairResult, 'id'>> {
    const { ledger, servers, signal } = this.#supervisor;
    const side = otherSide(keep);
    const artifact = ledger.memory.apart?.artifact ?? null;
    const aside = await copyAnew(servers[side], servers[keep], signal);
    const text = `${side} is a new copy of ${keep}; its old data is in ${aside}.`;
    await ledger.record({ apart: null }, 'good', text);
    return { done: [text], artifact };
  }
}
