/** What the local store asks of the machine: a clock shared by all processes, and which boot this is. */

import { readFileSync } from 'node:fs';
import { StoreError } from '../errors.ts';

const BOOT_ID_FILE = '/proc/sys/kernel/random/boot_id';

/** CLOCK_MONOTONIC in whole ms: on Linux the same for all processes of one boot, never stepped. */
export function machineMs(): number {
  return Number(process.hrtime.bigint() / 1_000_000n);
}

/** Random name of the running boot. Values of {@link machineMs} compare only within one boot. */
export function readBootId(): string {
  try {
    return readFileSync(BOOT_ID_FILE, 'utf8').trim();
  } catch (cause) {
    throw new StoreError({
      code: 'unsupported-platform',
      retry: 'unsafe',
      message: `The local store needs Linux: ${BOOT_ID_FILE} cannot be read. Use an etcd store on this machine.`,
      cause,
    });
  }
}
