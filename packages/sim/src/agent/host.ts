import type { Ms } from '@understudy/core';

/** How a command ended: null when it worked, else the code of the error. */
export type Ending = string | null;

/** What an engine adapter needs of the agent's process around it. */
export interface EngineHost {
  /** Plans an action of the agent's process: it happens only if this process still lives, and waits while it is frozen. */
  later(delayMs: number, action: () => void): void;
  localNow(): Ms;
  /** A job has ended; a failure goes among the agent's failures. */
  jobEnded(command: string, ending: Ending): void;
}
