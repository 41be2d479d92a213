/** The agent's log: JSON lines by pino. */

import { mkdirSync } from 'node:fs';
import { dirname } from 'node:path';
import { destination, type Logger, pino } from 'pino';
import type { NodeConfig } from '../config/node-config.ts';

export type { Logger };

export interface AgentLog {
  readonly logger: Logger;
  /** Writes what is still buffered. */
  flush(): void;
}

/** Opens the log that the configuration names. A reader that does not read loses lines; it never holds up the agent. */
export function openLog(config: NodeConfig): AgentLog {
  const { file, level } = config.logs;
  if (file !== undefined) mkdirSync(dirname(file), { recursive: true });
  const sink = destination({ dest: file ?? 1, sync: false, minLength: 0, maxLength: 1024 * 1024, append: true });
  // A closed pipe at the other end is no reason to stop.
  sink.on('error', () => undefined);
  const logger = pino(
    { level, base: { cluster: config.cluster, member: config.member }, timestamp: pino.stdTimeFunctions.isoTime },
    sink,
  );
  return {
    logger,
    flush: () => {
      try {
        sink.flushSync();
      } catch {
        // Not open yet, or closed already.
      }
    },
  };
}
