/** How long each lock of a backup may take, in ms; who waits for it is named beside it. */
const limits = {
  /** New DDL statements wait behind the lock that waits for those under way. */
  ddlWaitMs: 30_000,
  /** Every new commit waits behind the lock that waits for those under way. */
  commitWaitMs: 2_000,
  /** All commits wait. What is written meanwhile is small, but the receiver may take it slowly. */
  commitHoldMs: 5_000,
} as const;

type Stage =
  | { readonly kind: 'free' }
  | { readonly kind: 'waiting' | 'holding'; readonly lock: string; readonly sinceMs: number };

const waiting = /\bStart(?:ing|ed) BACKUP STAGE (\w+)/;
const holding = /\bAcquired locks for BACKUP STAGE (\w+)/;

/** Follows by its own words which of the server's locks `mariadb-backup` waits for or holds. */
export class BackupStages {
  #stage: Stage = { kind: 'free' };
  #rest = '';

  /** Takes the next piece of what the program writes to its standard error. */
  read(text: string, nowMs: number): void {
    const lines = (this.#rest + text).split('\n');
    this.#rest = lines.pop() ?? '';
    for (const line of lines) this.#line(line, nowMs);
  }

  #line(line: string, sinceMs: number): void {
    const wanted = waiting.exec(line)?.[1];
    const held = holding.exec(line)?.[1];
    if (wanted === 'END') this.#stage = { kind: 'free' };
    else if (wanted !== undefined) this.#stage = { kind: 'waiting', lock: wanted, sinceMs };
    else if (held !== undefined) this.#stage = { kind: 'holding', lock: held, sinceMs };
  }

  /** Whether commits of the server may be waiting for the backup. */
  get blocksCommits(): boolean {
    return this.#stage.kind !== 'free' && this.#stage.lock === 'BLOCK_COMMIT';
  }

  /** Why the backup has to be given up, as the end of a sentence; null as long as it has not. */
  overdue(nowMs: number): string | null {
    const stage = this.#stage;
    if (stage.kind === 'free') return null;
    const { kind, lock } = stage;
    const forMs = nowMs - stage.sinceMs;
    if (kind === 'holding') {
      if (lock !== 'BLOCK_COMMIT' || forMs < limits.commitHoldMs) return null;
      return `commits there had to wait for it for ${seconds(forMs)} s`;
    }
    if (lock === 'BLOCK_COMMIT' && forMs >= limits.commitWaitMs) {
      return `it waited for ${seconds(forMs)} s for commits under way, and others behind it`;
    }
    if (forMs < limits.ddlWaitMs) return null;
    return `it waited for ${seconds(forMs)} s for statements under way (lock ${lock})`;
  }
}

const seconds = (ms: number): string => (ms / 1000).toFixed(1);
