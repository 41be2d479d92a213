import { monotonicMs } from '@understudy/base';
import { DrillError } from '../errors.ts';
import type { Fault, FaultContext } from './fault.ts';

function disksOf({ disks }: FaultContext): NonNullable<FaultContext['disks']> {
  if (disks !== null) return disks;
  throw new DrillError('FAULT_FAILED', 'This fault needs a disk of its own for each node (root, and loop devices).');
}

/** Whatever the primary's host writes to its data waits in the kernel; what is in memory can be read, and SIGKILL does not end who waits. */
export const stalledDisk: Fault = {
  name: 'stalled-disk',
  text: "the primary's disk stalls for 8 s: whoever writes to it waits in the kernel, where SIGKILL does not reach",
  needs: 'disks',
  holdMs: 8000,
  writes: 'go-on',
  inject: async (context) => {
    const disks = disksOf(context);
    const { name } = context.leader;
    const atMs = monotonicMs();
    await disks.stall(name);
    return { atMs, heal: () => disks.heal(name) };
  },
};

export const slowDisk: Fault = {
  name: 'slow-disk',
  text: "the primary's disk is slow for 8 s: it stalls for 150 ms, takes writes for some 20 ms, and so on",
  needs: 'disks',
  holdMs: 8000,
  writes: 'go-on',
  inject: async (context) => {
    const disks = disksOf(context);
    const { name } = context.leader;
    const atMs = monotonicMs();
    await disks.slow(name);
    return { atMs, heal: () => disks.heal(name) };
  },
};
