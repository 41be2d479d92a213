import type { Lsn, WalPosition } from '@understudy/core';

/**
 * Where two histories of one system part: everything before it is common to both.
 *
 * @returns null when not even their first timelines agree.
 */
export function forkPoint(a: WalPosition, b: WalPosition): Lsn | null {
  const first = [...a.history, { timeline: a.timeline, switchLsn: a.lsn }];
  const second = [...b.history, { timeline: b.timeline, switchLsn: b.lsn }];
  let common: Lsn | null = null;
  for (const [index, one] of first.entries()) {
    const other = second[index];
    if (other?.timeline !== one.timeline) break;
    common = one.switchLsn < other.switchLsn ? one.switchLsn : other.switchLsn;
    if (one.switchLsn !== other.switchLsn) break;
  }
  return common;
}
