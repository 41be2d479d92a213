import type { EngineJob } from '@understudy/core';
import { EngineError } from '@understudy/engine';
import { monotonicMs } from '@understudy/engine/host';
import { engineError } from './errors.ts';

export interface JobHandle {
  readonly signal: AbortSignal;
  readonly progress: (doneBytes: number, totalBytes: number | null) => void;
}

interface RunningJob {
  readonly kind: EngineJob['kind'];
  readonly command: string;
  readonly sinceMs: number;
  readonly abort: AbortController;
  readonly done: Promise<void>;
  progress: EngineJob['progress'];
}

const failuresKept = 20;

/** The long work of an engine: one piece at a time, in the background; what fails is kept until somebody asks. */
export class Jobs {
  #running: RunningJob | null = null;
  #failures: { readonly command: string; readonly error: EngineError }[] = [];
  readonly #onChange: () => void;

  constructor(onChange: () => void) {
    this.#onChange = onChange;
  }

  get running(): EngineJob | null {
    const job = this.#running;
    if (job === null) return null;
    return { kind: job.kind, sinceMs: Math.round(monotonicMs() - job.sinceMs), progress: job.progress };
  }

  takeFailures(): readonly { readonly command: string; readonly error: EngineError }[] {
    const taken = this.#failures;
    this.#failures = [];
    return taken;
  }

  /**
   * Begins `work`. Asking for the command that is under way already changes nothing.
   *
   * @throws EngineError `ENGINE_BUSY` while other work is under way.
   */
  begin(command: string, kind: EngineJob['kind'], work: (handle: JobHandle) => Promise<void>): void {
    if (this.#running?.command === command) return;
    if (this.#running !== null) {
      const text = `The engine is busy with "${this.#running.command}"; "${command}" has to wait.`;
      throw new EngineError('ENGINE_BUSY', text, 'safe');
    }
    const abort = new AbortController();
    const job: RunningJob = {
      kind,
      command,
      sinceMs: monotonicMs(),
      abort,
      progress: null,
      // In a later turn, so that the job is registered before its work begins.
      done: Promise.resolve().then(() => this.#run(job, work)),
    };
    this.#running = job;
  }

  async #run(job: RunningJob, work: (handle: JobHandle) => Promise<void>): Promise<void> {
    try {
      await work({
        signal: job.abort.signal,
        progress: (doneBytes, totalBytes) => {
          job.progress = { doneBytes, totalBytes };
        },
      });
    } catch (error) {
      if (!job.abort.signal.aborted) {
        this.#failures.push({ command: job.command, error: engineError('ENGINE_INTERNAL', job.command, error) });
        this.#failures = this.#failures.slice(-failuresKept);
      }
    } finally {
      this.#running = null;
      this.#onChange();
    }
  }

  /** Breaks off the work under way, if any, and waits until it has let go. */
  async cancel(): Promise<void> {
    this.#running?.abort.abort();
    await this.#running?.done;
  }

  /** Tells the work under way to stop, without waiting. */
  abort(): void {
    this.#running?.abort.abort();
  }

  /** Resolves when nothing is under way. */
  async idle(): Promise<void> {
    await this.#running?.done;
  }
}
