import { pollUntil } from '@understudy/base';
import { gtidContains } from '@understudy/core';
import { readChannel } from '@understudy/mysql/parts';
import { meet } from '../circular/change.ts';
import { readPosition } from '../decide/positions.ts';
import { type Both, otherSide, type SideName, sideNames } from '../decide/sides.ts';
import { isAboutRows } from '../decide/stops.ts';
import { PairError } from '../errors.ts';
import { executedBy, link } from '../server/link.ts';
import type { PairServer } from '../server/server.ts';
import { explainStop, isNameable, keyOfLog, type Obstacle, type Stop } from './explain.ts';
import { addExpected, closeBoth, isSame, prepareReading, removeRow, setRows, unlogged } from './fix.ts';
import type { RepairRecord } from './record.ts';
import { keyCondition, keyText, readRows, type StoredRow, type TableShape } from './shape.ts';

const timeoutMs = 5000;
/** A transaction after the other may be stopped by the same conflict. */
const roundsMax = 200;

export interface RepairContext {
  readonly servers: Both<PairServer>;
  readonly record: RepairRecord;
  readonly withinMs: number;
  readonly signal: AbortSignal;
}

/** A row that a conflict is about, as each server had it before anything was changed. */
interface Involved {
  readonly shape: TableShape;
  readonly key: StoredRow;
  readonly rows: Both<StoredRow | null>;
  /** The server where it was put back so that a change could be applied: afterwards it has there what the other one had made of it. */
  revivedOn: SideName | null;
}

/** The stops that there are now. */
export async function currentStops(servers: Both<PairServer>): Promise<readonly Stop[]> {
  const stops = await Promise.all(sideNames.map((side) => explainStop(servers[side], servers[otherSide(side)])));
  return stops.filter((each) => each !== null);
}

/** Why stops cannot be repaired by rows; null when they can. */
export function objectionTo(stops: readonly Stop[]): string | null {
  if (stops.length === 0) return 'Replication is not stopped by an error on either server.';
  for (const { error, transaction, obstacles, side } of stops) {
    if (isAboutRows(error.number) && transaction === null) {
      return `The rows of the transaction that stopped ${side} could not be read. A new copy is the way: understudy pair repair copy`;
    }
    for (const { shape } of obstacles) {
      const name = `${shape.schema}.${shape.table}`;
      if (!isNameable(shape))
        return `The key of ${name} is of a type that logs do not tell exactly; use: understudy pair repair copy`;
      if (shape.triggers > 0)
        return `${name} has triggers, which a repair would set off; use: understudy pair repair copy`;
    }
  }
  return null;
}

/**
 * Lets stopped appliers go on, without skipping anything: what stands in a transaction's way is removed or put back on that server alone, the
 * transaction is applied as it is, and in the end the rows that the conflict was about become on both servers what `keep` had. Both servers
 * are closed meanwhile. Every row is in the record before it is touched.
 *
 * @throws PairError `PAIR_REFUSED`, `PAIR_FAILED`.
 */
export async function repairStop({ servers, record, withinMs, signal }: RepairContext, keep: SideName): Promise<void> {
  const objection = objectionTo(await currentStops(servers));
  if (objection !== null) throw new PairError('PAIR_REFUSED', objection);
  await closeBoth([servers.n1, servers.n2], withinMs);
  const involved = new Map<string, Involved>();
  for (let round = 0; ; round += 1) {
    const stops = await nextStops(servers, withinMs, signal);
    if (stops.length === 0) break;
    if (round >= roundsMax) {
      const text = `After ${roundsMax} transactions there are still conflicts. What was done until now is in ${record.path}.`;
      throw new PairError('PAIR_FAILED', text, { next: 'See: understudy pair show' });
    }
    for (const stop of stops) await letThrough(servers, stop, involved, record, withinMs);
  }
  await meet({ servers }, withinMs, signal);
  await settleRows(servers, [...involved.values()], record, keep);
}

/** The next stops; none when both have applied all that there is, so that no conflict is on its way any more. */
async function nextStops(servers: Both<PairServer>, timeoutMs: number, signal: AbortSignal): Promise<readonly Stop[]> {
  const found = await pollUntil(
    async () => {
      const stops = await currentStops(servers);
      return stops.length > 0 || (await bothIdle(servers)) ? stops : null;
    },
    { everyMs: 20, timeoutMs, signal },
  );
  if (found !== null) return found;
  const text = `The servers had not applied what the other has after ${timeoutMs / 1000} s.`;
  throw new PairError('PAIR_FAILED', text, { next: 'See: understudy pair show' });
}

/** Whether both have applied all that they received, so that no conflict is on its way any more. */
async function bothIdle(servers: Both<PairServer>): Promise<boolean> {
  const [n1, n2] = [await executedBy(servers.n1), await executedBy(servers.n2)];
  return gtidContains(n1, n2) && gtidContains(n2, n1);
}

async function letThrough(
  servers: Both<PairServer>,
  stop: Stop,
  involved: Map<string, Involved>,
  record: RepairRecord,
  withinMs: number,
): Promise<void> {
  const objection = objectionTo([stop]);
  if (objection !== null) throw new PairError('PAIR_FAILED', `${objection} What was done until now is in the record.`);
  const server = servers[stop.side];
  for (const obstacle of stop.obstacles) await remember(servers, stop.side, obstacle, involved);
  await record.stop(
    stop,
    [...involved.values()].map(({ shape, key, rows }) => ({ shape, key, rows })),
  );
  await unlogged(server, async (session) => {
    for (const { change, shape, why } of stop.obstacles) {
      if (why.kind === 'missing') await addExpected(session, shape, change);
      else for (const row of why.rows) await removeRow(session, shape, row);
    }
  });
  await applyOne(servers, stop, withinMs);
}

async function remember(
  servers: Both<PairServer>,
  side: SideName,
  { change, shape, why }: Obstacle,
  involved: Map<string, Involved>,
): Promise<void> {
  const keys = [keyOfLog(shape, change.before), keyOfLog(shape, change.after)];
  if (why.kind === 'taken') keys.push(...why.rows);
  for (const row of keys) {
    if (row === null) continue;
    const key = new Map(shape.primary.map(({ name }) => [name, row.get(name) ?? null]));
    const name = `${shape.schema}.${shape.table}:${keyText(shape, key)}`;
    const known = involved.get(name) ?? {
      shape,
      key,
      rows: { n1: await rowOn(servers.n1, shape, key), n2: await rowOn(servers.n2, shape, key) },
      revivedOn: null,
    };
    if (why.kind === 'missing' && known.rows[otherSide(side)] === null) known.revivedOn = side;
    involved.set(name, known);
  }
}

async function rowOn(server: PairServer, shape: TableShape, key: StoredRow): Promise<StoredRow | null> {
  return server.sql.fresh(timeoutMs, async (session) => {
    await prepareReading(session);
    return (await readRows(session, shape, keyCondition(shape, key), 1))[0] ?? null;
  });
}

/** Starts the applier, and waits until the transaction is executed or something else stops it. */
async function applyOne(servers: Both<PairServer>, { side, gtid, error }: Stop, withinMs: number): Promise<void> {
  const server = servers[side];
  const kind = server.dialect.gtids;
  await link(server, servers[otherSide(side)]);
  const wanted = gtid === null ? null : readPosition(kind, gtid);
  const result = await pollUntil(
    async () => {
      if (wanted !== null && gtidContains(await executedBy(server), wanted)) return 'applied';
      const channel = await readChannel(await server.sql.monitor(timeoutMs), server.dialect, timeoutMs);
      if (channel?.applierError != null) return 'stopped';
      return wanted === null && (await bothIdle(servers)) ? 'applied' : null;
    },
    { everyMs: 20, timeoutMs: withinMs },
  );
  if (result !== null) return;
  const text = `The transaction that stopped ${side} (error ${error.number}) was not applied within ${withinMs / 1000} s.`;
  throw new PairError('PAIR_FAILED', text, { next: 'See: understudy pair show' });
}

/** Each row becomes on both servers what the kept one had. */
async function settleRows(
  servers: Both<PairServer>,
  involved: readonly Involved[],
  record: RepairRecord,
  keep: SideName,
): Promise<void> {
  const wanted: { readonly shape: TableShape; readonly key: StoredRow; readonly wanted: StoredRow | null }[] = [];
  for (const { shape, key, rows, revivedOn } of involved) {
    const revived = revivedOn === null ? null : await rowOn(servers[revivedOn], shape, key);
    const version = (side: SideName): StoredRow | null =>
      revivedOn !== null && side === otherSide(revivedOn) ? revived : rows[side];
    const [kept, discarded] = [version(keep), version(otherSide(keep))];
    wanted.push({ shape, key, wanted: kept });
    if (!isSame(kept, discarded)) await record.discard({ shape, key, kept, discarded, of: otherSide(keep) });
  }
  for (const side of sideNames) await unlogged(servers[side], (session) => setRows(session, wanted));
}
