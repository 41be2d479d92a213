/** What the local store asks of the machine: a clock shared by all processes, and which boot this is. */

import { monotonicMs } from '@understudy/base';
import { bootId } from '@understudy/base/processes';
import { StoreError } from '../errors.ts';

/** The clock of all processes of one boot, in whole ms as the file holds them. */
export const machineMs = (): number => Math.floor(monotonicMs());

/** Random name of the running boot. Values of {@link machineMs} compare only within one boot. */
export function readBootId(): string {
  try {
    return bootId();
  } catch (cause) {
    throw new StoreError(
      'unsupported-platform',
      'The local store needs Linux: /proc/sys/kernel/random/boot_id cannot be read.',
      { next: 'Use an etcd store on this machine.', cause },
    );
  }
}
