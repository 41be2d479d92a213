import type { Problem } from '../control/protocol.ts';
import { otherSide, type SideName } from '../decide/sides.ts';
import type { Memory } from '../decide/state.ts';

/** What a repair will do, in sentences, before it is done. */
export function repairSteps({ kind, id, table }: Problem, keep: SideName, memory: Memory): readonly string[] {
  const other = otherSide(keep);
  const closing = 'Close both servers for writes until it is done (usually about a second), and cut their clients.';
  if (id === 'copy') return copySteps(keep);
  switch (kind) {
    case 'apart':
      if (memory.apart?.side !== keep) return copySteps(keep);
      return [
        `Let ${other} receive and apply the ${memory.apart.count} late transactions of ${keep}.`,
        `Where both changed the same row, the late change of ${keep} may overwrite a newer one of ${other}; conflicts that stop replication are shown as "stop".`,
      ];
    case 'stop':
      return [
        closing,
        'Move what stands in the way of each stopped transaction, on that server alone, and let the transaction be applied as it is: none is skipped.',
        `Make the rows in question on both servers what ${keep} had. What ${other} had is written to a file before.`,
        'Open the servers again.',
      ];
    case 'row':
      return [
        closing,
        `Wait until both have the same position, then make the row of ${table ?? 'the table'} on ${other} what it is on ${keep}; it is written to a file before.`,
        'Open the servers again.',
      ];
    case 'table':
      return [];
  }
}

function copySteps(keep: SideName): readonly string[] {
  const other = otherSide(keep);
  return [
    `Stop ${other}, and copy all data of ${keep} anew, while ${keep} goes on. Nothing fails over meanwhile.`,
    `Move the old data of ${other} aside, and let the copy replicate in both directions.`,
  ];
}
