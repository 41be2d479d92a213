import { checkDualAck } from '../../check/dual-ack.ts';
import { outageOf } from '../../check/outage.ts';
import { checkSet } from '../../check/set.ts';
import { drillDatabase } from '../../database/database.ts';
import { postgresDatabase } from '../../database/postgres.ts';
import { faults } from '../../faults/index.ts';
import type { DrillOptions } from '../../options.ts';
import { type Course, runCourse } from '../../run/course.ts';
import { Workload } from '../../workload/workload.ts';
import type { PatroniCluster } from './cluster.ts';
import { type ComparedFault, injectPatroni } from './faults.ts';
import type { Measured } from './measured.ts';

export interface PatroniRun {
  readonly cluster: PatroniCluster;
  readonly options: DrillOptions;
  readonly ids: { next: number };
  readonly signal: AbortSignal;
  readonly say: (text: string) => void;
}

/** A host that is lost is noticed after `ttl`, 20 s. */
const writesWithinMs = 60_000;
const readTimeoutMs = 60_000;
const replayTimeoutMs = 30_000;

/** The drill's run, with Patroni keeping the database: same clients, same fault, same judgement. */
export async function runPatroni(fault: ComparedFault, leader: string, run: PatroniRun): Promise<Measured> {
  const { cluster, options, ids, signal, say } = run;
  const { writers, everyMs, deadlineMs, calmMs, convergeMs } = options;
  const drilled = faults.get(fault);
  const { holdMs, writes } = drilled ?? { holdMs: 0, writes: 'go-on' };
  const fromId = ids.next;
  const nextId = (): number => {
    ids.next += 1;
    return ids.next - 1;
  };
  const workload = new Workload({
    database: postgresDatabase,
    network: cluster.networkTargets(),
    local: cluster.socketTargets(),
    writers,
    everyMs,
    deadlineMs,
    nextId,
  });
  const course = await runCourse({
    workload,
    fault: { holdMs, writes },
    inject: () => {
      say(`${fault} on ${leader}`);
      return injectPatroni(fault, cluster, cluster.node(leader));
    },
    converge: () => cluster.waitUntilConverged(convergeMs),
    timing: { writers, calmMs, writesWithinMs },
    signal,
    say,
  });
  return judge(course, fromId, run);
}

async function judge({ window, convergence, history }: Course, fromId: number, run: PatroniRun): Promise<Measured> {
  const { ops, endMs } = history;
  const contents =
    convergence.kind === 'converged' ? await compare(run.cluster, convergence.leader, ops, fromId) : null;
  return {
    outageMs: outageOf(ops, window, endMs).outageMs,
    acked: ops.filter((op) => op.outcome === 'ok').length,
    unknown: ops.filter((op) => op.outcome === 'info').length,
    dualAck: checkDualAck(ops).length,
    lost: contents?.lost ?? null,
    resurrected: contents?.resurrected ?? null,
    problems: convergence.kind === 'converged' ? [] : [`not whole ${convergence.why}`],
  };
}

/** Looks for every row on every node, after a write of the leader's own that each must have replayed. */
async function compare(
  cluster: PatroniCluster,
  leader: string,
  ops: Course['history']['ops'],
  fromId: number,
): Promise<{ readonly lost: number; readonly resurrected: number }> {
  const mark = await cluster.withAdmin(leader, drillDatabase, (session) =>
    postgresDatabase.mark(session, readTimeoutMs),
  );
  let [lost, resurrected] = [0, 0];
  for (const { name } of cluster.nodes) {
    const ids = await cluster.withAdmin(name, drillDatabase, async (session) => {
      await postgresDatabase.reach(session, mark, replayTimeoutMs);
      return postgresDatabase.idsFrom(session, fromId, readTimeoutMs);
    });
    const verdict = checkSet(ops, ids);
    lost = Math.max(lost, verdict.lost.length);
    resurrected = Math.max(resurrected, verdict.resurrected.length + verdict.unexpected.length);
  }
  return { lost, resurrected };
}
