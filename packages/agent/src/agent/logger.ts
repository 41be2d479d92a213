/** The agent's log: JSON lines by pino. */

import { mkdirSync, renameSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { visible } from '@understudy/core/visible';
import { destination, type Logger, pino } from 'pino';
import type { NodeConfig } from '../config/node-config.ts';

export type { Logger };

export interface AgentLog {
  readonly logger: Logger;
  /** Writes what is still buffered. */
  flush(): void;
  /** Opens the file anew, after somebody else has moved it away. */
  reopen(): void;
  close(): void;
}

/** How often the size of the file is looked at. */
const LOOK_EVERY_MS = 10_000;

/** Opens the log that the configuration names. A reader that does not read loses lines; it never holds up the agent. */
export function openLog(config: NodeConfig): AgentLog {
  const { file, level, maxBytes } = config.logs;
  if (file !== undefined) mkdirSync(dirname(file), { recursive: true });
  const sink = destination({ dest: file ?? 1, sync: false, minLength: 0, maxLength: 1024 * 1024, append: true });
  // A closed pipe at the other end is no reason to stop.
  sink.on('error', () => undefined);
  const logger = pino(
    { level, base: { cluster: config.cluster, member: config.member }, timestamp: pino.stdTimeFunctions.isoTime },
    // The log of an agent in the foreground is a terminal; JSON itself leaves DEL, C1 and bidirectional marks as they are.
    { write: (line) => sink.write(visible(line)) },
  );
  const reopen = (): void => {
    if (file !== undefined) sink.reopen();
  };
  const look = setInterval(() => {
    if (file !== undefined && moveAwayIfLarge(file, maxBytes)) reopen();
  }, LOOK_EVERY_MS);
  look.unref();
  return {
    logger,
    reopen,
    close: () => clearInterval(look),
    flush: () => {
      try {
        sink.flushSync();
      } catch {
        // Not open yet, or closed already.
      }
    },
  };
}

/** Whether the file was too large, and is now `FILE.1`. One that cannot be moved grows on. */
export function moveAwayIfLarge(file: string, maxBytes: number): boolean {
  try {
    if (statSync(file).size <= maxBytes) return false;
    renameSync(file, `${file}.1`);
    return true;
  } catch {
    return false;
  }
}
