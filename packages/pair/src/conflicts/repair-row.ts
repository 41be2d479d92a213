import { meet } from '../circular/change.ts';
import { otherSide, type SideName } from '../decide/sides.ts';
import { PairError } from '../errors.ts';
import { closeBoth, isSame, prepareReading, setRows, unlogged } from './fix.ts';
import type { RepairContext } from './repair-stop.ts';
import { keyCondition, readRows, readShape, type StoredRow, type TableShape } from './shape.ts';

const timeoutMs = 5000;

/**
 * Makes a row that differs on the other server what it is on `keep`. Both are closed and equal in position meanwhile.
 *
 * @throws PairError `PAIR_REFUSED`.
 */
export async function repairRow(
  { servers, record, withinMs, signal }: RepairContext,
  found: { readonly shape: TableShape; readonly key: StoredRow },
  keep: SideName,
): Promise<void> {
  const shape = await servers[keep].sql.fresh(timeoutMs, (session) =>
    readShape(session, found.shape.schema, found.shape.table),
  );
  const name = `${found.shape.schema}.${found.shape.table}`;
  if (shape === null) throw new PairError('PAIR_REFUSED', `The table ${name} is gone.`);
  if (shape.triggers > 0) {
    const text = `${name} has triggers, which a repair would set off; use: understudy pair repair copy`;
    throw new PairError('PAIR_REFUSED', text);
  }
  const discardedSide = otherSide(keep);
  await closeBoth([servers.n1, servers.n2], withinMs);
  await meet({ servers }, withinMs, signal);
  const rowOn = (side: SideName): Promise<StoredRow | null> =>
    servers[side].sql.fresh(timeoutMs, async (session) => {
      await prepareReading(session);
      return (await readRows(session, shape, keyCondition(shape, found.key), 1))[0] ?? null;
    });
  const [kept, discarded] = [await rowOn(keep), await rowOn(discardedSide)];
  if (isSame(kept, discarded)) return;
  await record.discard({ shape, key: found.key, kept, discarded, of: discardedSide });
  await unlogged(servers[discardedSide], (session) => setRows(session, [{ shape, key: found.key, wanted: kept }]));
}
