import { monotonicMs } from '@understudy/base';
import { signalPid } from '@understudy/base/processes';
import { childrenOf } from '@understudy/engine/host';
import { ControlFileProblem, readControlFile } from '../disk/control-file.ts';

const everyMs = 100;

/** The archiver's title after a try that failed: `postgres: archiver failed on 000000010000000000000003`. */
const failingTitle = /(^|[\s:])archiver failed on [0-9A-F]{8}/;

/**
 * Ends an archiver that fails while the server stops: it would try twice more, with a second before each. It has had one try since the log was
 * complete, and log that is not archived stays marked. SIGTERM tells it to begin nothing more; a command that runs meanwhile gets it too.
 */
export class FailingArchiver {
  readonly #dataDir: string;
  readonly #pid: number;
  #dueMs = 0;
  #failing: number | null = null;
  #state: 'watching' | 'ended' = 'watching';

  constructor(dataDir: string, postmasterPid: number) {
    this.#dataDir = dataDir;
    this.#pid = postmasterPid;
  }

  /** @returns whether it was ended by this look. */
  async look(): Promise<'ended' | null> {
    const nowMs = monotonicMs();
    if (this.#state === 'ended' || nowMs < this.#dueMs) return null;
    this.#dueMs = nowMs + everyMs;
    if (!(await this.#isLogComplete())) return null;
    const archiver = (await childrenOf(this.#pid)).find(({ title }) => failingTitle.test(title));
    // The first look may have come before the try: the title would be that of an earlier one.
    const isSure = archiver !== undefined && this.#failing === archiver.pid;
    this.#failing = archiver?.pid ?? null;
    if (!isSure) return null;
    this.#state = 'ended';
    // Each process of the server leads a group, with the commands that it runs.
    signalPid(-archiver.pid, 'SIGTERM');
    return 'ended';
  }

  async #isLogComplete(): Promise<boolean> {
    try {
      return (await readControlFile(this.#dataDir)).state.startsWith('shut down');
    } catch (error) {
      // It is read while it is written.
      if (error instanceof ControlFileProblem) return false;
      throw error;
    }
  }
}
