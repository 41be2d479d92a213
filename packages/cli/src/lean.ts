import { writeFileSync } from 'node:fs';
import { MEMORY_ENVIRONMENT } from '@understudy/agent/memory';

/**
 * Everything here holds passwords: a core file of this process, or of one that it starts, is written without any of its memory. The
 * kernel has this for each process (core(5)); where it has not, `ulimit -c 0` and LimitCORE=0 do the same.
 */
export function leaveNoCores(): void {
  try {
    writeFileSync('/proc/self/coredump_filter', '0');
  } catch {
    // Not Linux.
  }
}

/**
 * An agent lives for months beside a database that wants the memory, and allocates little: small young generation, one helper
 * thread, an upper bound far above what it uses.
 */
const agentFlags = ['--max-semi-space-size=1', '--v8-pool-size=1', '--max-old-space-size=96'];

/** Where this program is an agent: goes on as the same process with these flags and that environment, unless it has them. */
export function beLean(): void {
  if (process.argv[2] !== 'agent' || agentFlags.every((flag) => process.execArgv.includes(flag))) return;
  const [node = process.execPath, ...rest] = process.argv;
  process.execve?.(node, [node, ...agentFlags, ...process.execArgv, ...rest], {
    ...MEMORY_ENVIRONMENT,
    ...process.env,
  });
}
