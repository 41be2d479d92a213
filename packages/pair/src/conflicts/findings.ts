import { monotonicMs, pause, reasonOf } from '@understudy/base';
import type { ServerSession } from '@understudy/mysql/parts';
import type { Supervisor } from '../circular/supervisor.ts';
import type { CheckResult, PairStatus, Problem } from '../control/protocol.ts';
import { sideNames } from '../decide/sides.ts';
import { PairError } from '../errors.ts';
import { wrongNumbers } from '../server/numbers.ts';
import { bothReached, compareTable, type RowProblem } from './compare.ts';
import { stopProblem } from './explain.ts';
import { prepareReading } from './fix.ts';
import { currentStops } from './repair-stop.ts';
import { listTables, type StoredRow } from './shape.ts';

const lookEveryMs = 300;
/** Of each turn of the standing comparison: a bound on what it costs the servers. */
const budgetMs = 1500;
const openTimeoutMs = 3000;
const problemsMax = 500;

interface Place {
  readonly tables: readonly { readonly schema: string; readonly table: string }[];
  readonly index: number;
  readonly from: StoredRow | null;
}

interface Pass {
  rows: number;
  tables: number;
  readonly found: Map<string, RowProblem>;
  readonly remarks: Set<string>;
}

const newPass = (): Pass => ({ rows: 0, tables: 0, found: new Map(), remarks: new Set() });

/** What the two servers do not agree about: looked for all the time, beside the supervisor and never in its way. */
export class Findings {
  readonly #supervisor: Supervisor;
  #stop: Problem | null = null;
  #stopSign = '';
  #rows = new Map<string, RowProblem>();
  #remarks: readonly string[] = [];
  #settings: readonly string[] = [];
  #place: Place | null = null;
  #pass = newPass();
  #last: { readonly at: string; readonly rows: number; readonly tables: number } | null = null;
  #loops: Promise<unknown> | null = null;
  /** One comparison at a time. */
  #comparing: Promise<unknown> = Promise.resolve();

  constructor(supervisor: Supervisor) {
    this.#supervisor = supervisor;
  }

  /** Begins to look; ends when the supervisor does. */
  start(): void {
    this.#loops = Promise.all([
      this.#repeat(lookEveryMs, () => this.lookAtStops()),
      this.#repeat(this.#supervisor.ledger.file.checkEveryS * 1000, () => this.#turn()),
    ]);
  }

  /** Resolves when nothing is being looked at any more. */
  async ended(): Promise<void> {
    await this.#loops;
    await this.#comparing;
  }

  get problems(): readonly Problem[] {
    const { apart } = this.#supervisor.ledger.memory;
    const late: Problem[] = apart === null ? [] : [apartProblem(apart)];
    const rows = [...this.#rows.values()].map(({ problem }) => problem);
    return [...late, ...(this.#stop === null ? [] : [this.#stop]), ...rows];
  }

  get comparison(): PairStatus['comparison'] {
    return {
      lastPassAt: this.#last?.at ?? null,
      rows: this.#last?.rows ?? 0,
      tables: this.#last?.tables ?? 0,
      everyS: this.#supervisor.ledger.file.checkEveryS,
      remarks: [...this.#remarks, ...this.#settings],
    };
  }

  /** A row that was found to differ. */
  row(id: string): RowProblem | null {
    return this.#rows.get(id) ?? null;
  }

  forget(id: string): void {
    this.#rows.delete(id);
  }

  async #repeat(everyMs: number, work: () => Promise<void>): Promise<void> {
    const { signal } = this.#supervisor;
    while (!signal.aborted) {
      // A server that does not answer is the supervisor's business; it is looked at again.
      await work().catch(() => undefined);
      await pause(everyMs, signal);
    }
  }

  /** Looks whether replication is stopped, and why. */
  async lookAtStops(): Promise<void> {
    const { views, servers } = this.#supervisor;
    const errors = sideNames.map((side) => views[side].server?.link?.applierError?.text ?? '');
    const sign = errors.join('\n');
    if (sign === this.#stopSign) return;
    const isStopped = errors.some((text) => text !== '');
    const before = this.#stop;
    const stops = isStopped ? await currentStops(servers) : [];
    this.#stop = stops.length === 0 ? null : stopProblem(stops);
    this.#stopSign = sign;
    if (this.#stop !== null) await this.#supervisor.ledger.tell('bad', this.#stop.text);
    else if (before !== null) await this.#supervisor.ledger.tell('good', 'Replication goes on in both directions.');
  }

  /** A part of the standing comparison. What it finds to be gone is forgotten when a whole pass has ended. */
  async #turn(): Promise<void> {
    const { views, servers } = this.#supervisor;
    if (sideNames.some((side) => views[side].server === null)) return;
    const wrong = await Promise.all(
      sideNames.map(async (side) => (await wrongNumbers(servers[side])).map((text) => `${side}: ${text}`)),
    );
    this.#settings = wrong.flat();
    await this.#compare(budgetMs);
  }

  /** Compares everything from the beginning. @throws PairError `PAIR_REFUSED` when the time is over before. */
  async check(timeoutMs: number): Promise<CheckResult> {
    const { views } = this.#supervisor;
    const silent = sideNames.find((side) => views[side].server === null);
    if (silent !== undefined) throw new PairError('PAIR_REFUSED', `${silent} does not answer, so nothing is compared.`);
    const result = this.#comparing.then(async () => {
      this.#place = null;
      return this.#compareNow(timeoutMs);
    });
    this.#comparing = result.catch(() => undefined);
    const outcome = await result.catch((error: unknown) => {
      throw new PairError('PAIR_REFUSED', `The comparison broke off: ${reasonOf(error)}`, { cause: error });
    });
    if (outcome === 'interrupted') {
      const text = `Not everything was compared within ${timeoutMs / 1000} s.`;
      throw new PairError('PAIR_REFUSED', text, { next: 'Give it more time with --timeout.' });
    }
    const { rows = 0, tables = 0 } = this.#last ?? {};
    return { rows, tables, remarks: [...this.#remarks], problems: [...this.problems] };
  }

  #compare(forMs: number): Promise<unknown> {
    this.#comparing = this.#comparing.then(() => this.#compareNow(forMs).catch(() => undefined));
    return this.#comparing;
  }

  async #compareNow(forMs: number): Promise<'whole' | 'interrupted'> {
    const { servers, signal } = this.#supervisor;
    const untilMs = monotonicMs() + forMs;
    const opened: ServerSession[] = [];
    const open = async (side: 'n1' | 'n2'): Promise<ServerSession> => {
      const session = await servers[side].sql.open(openTimeoutMs);
      opened.push(session);
      await prepareReading(session);
      return session;
    };
    try {
      const sessions = { n1: await open('n1'), n2: await open('n2') };
      // What was written before this began has arrived then: two updates that cross on their way would look equal for a moment.
      await bothReached({ servers, signal });
      if (this.#place === null) {
        const tables = [...(await listTables(sessions.n1)), ...(await listTables(sessions.n2))];
        const distinct = new Map(tables.map((each) => [JSON.stringify(each), each]));
        this.#place = { tables: [...distinct.values()], index: 0, from: null };
        this.#pass = newPass();
      }
      while (!signal.aborted) {
        const place: Place = this.#place;
        const { tables, index, from } = place;
        const table = tables[index];
        if (table === undefined) return this.#endPass();
        if (monotonicMs() >= untilMs) return 'interrupted';
        const progress = await compareTable({ servers, sessions, untilMs, signal }, table, from);
        this.#note(progress);
        this.#place =
          progress.next === null
            ? { tables, index: index + 1, from: null }
            : { tables, index, from: progress.next.from };
      }
      return 'interrupted';
    } finally {
      for (const session of opened) await session.end();
    }
  }

  #note({ rows, problems, remarks, next }: Awaited<ReturnType<typeof compareTable>>): void {
    this.#pass.rows += rows;
    if (next === null) this.#pass.tables += 1;
    for (const remark of remarks) this.#pass.remarks.add(remark);
    for (const found of problems) {
      if (this.#pass.found.size >= problemsMax) break;
      this.#pass.found.set(found.problem.id, found);
      this.#rows.set(found.problem.id, found);
    }
  }

  #endPass(): 'whole' {
    const { rows, tables, found, remarks } = this.#pass;
    this.#rows = new Map(found);
    this.#remarks = [...remarks];
    this.#last = { at: new Date().toISOString(), rows, tables };
    this.#place = null;
    return 'whole';
  }
}

function apartProblem({
  side,
  transactions,
  count,
  artifact,
  rows,
}: NonNullable<Supervisor['ledger']['memory']['apart']>): Problem {
  const text = `${side} holds ${count} transactions that the active server went on without (${transactions.slice(0, 400)}). It follows nobody, and its own rows wait for a decision.`;
  return { id: 'apart', kind: 'apart', text, table: null, key: null, rows: [...rows], artifact };
}
