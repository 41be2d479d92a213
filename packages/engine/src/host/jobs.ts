import { monotonicMs } from '@understudy/base';
import type { EngineJob } from '@understudy/core';
import { EngineError } from '../index.ts';

export type Progress = (doneBytes: number, totalBytes: number | null) => void;

export interface JobHandle {
  readonly signal: AbortSignal;
  readonly progress: Progress;
}

interface RunningJob<Command> {
  readonly kind: EngineJob['kind'];
  readonly command: Command;
  readonly sinceMs: number;
  readonly abort: AbortController;
  readonly done: Promise<void>;
  progress: EngineJob['progress'];
}

export interface JobFailure {
  readonly command: string;
  readonly error: EngineError;
}

const failuresKept = 20;

/** The long work of an engine: one piece at a time, in the background; what fails is kept until somebody asks. */
export class Jobs<Command extends string = string> {
  #running: RunningJob<Command> | null = null;
  #failures: JobFailure[] = [];
  readonly #onChange: () => void;
  readonly #asEngineError: (command: string, error: unknown) => EngineError;

  /** @param onChange called when a piece has ended. @param asEngineError what a failure is called. */
  constructor(onChange: () => void, asEngineError: (command: string, error: unknown) => EngineError) {
    this.#onChange = onChange;
    this.#asEngineError = asEngineError;
  }

  /** By which the work under way was begun. */
  get command(): Command | null {
    return this.#running?.command ?? null;
  }

  get running(): EngineJob | null {
    const job = this.#running;
    if (job === null) return null;
    return { kind: job.kind, sinceMs: Math.round(monotonicMs() - job.sinceMs), progress: job.progress };
  }

  takeFailures(): readonly JobFailure[] {
    const taken = this.#failures;
    this.#failures = [];
    return taken;
  }

  /**
   * Begins `work`. Asking for the command that is under way already changes nothing.
   *
   * @throws EngineError `ENGINE_BUSY` while other work is under way.
   */
  begin(command: Command, kind: EngineJob['kind'], work: (handle: JobHandle) => Promise<void>): void {
    if (this.#running?.command === command) return;
    if (this.#running !== null) {
      const text = `The engine is busy with "${this.#running.command}"; "${command}" has to wait.`;
      throw new EngineError('ENGINE_BUSY', text);
    }
    const job: RunningJob<Command> = {
      kind,
      command,
      sinceMs: monotonicMs(),
      abort: new AbortController(),
      progress: null,
      // In a later turn: the job is registered before its work begins.
      done: Promise.resolve().then(() => this.#run(job, work)),
    };
    this.#running = job;
  }

  async #run(job: RunningJob<Command>, work: (handle: JobHandle) => Promise<void>): Promise<void> {
    const progress: Progress = (doneBytes, totalBytes) => {
      job.progress = { doneBytes, totalBytes };
    };
    try {
      await work({ signal: job.abort.signal, progress });
    } catch (error) {
      if (!job.abort.signal.aborted) {
        const failure = { command: job.command, error: this.#asEngineError(job.command, error) };
        this.#failures = [...this.#failures, failure].slice(-failuresKept);
      }
    } finally {
      // Another one may have taken its place.
      if (this.#running === job) this.#running = null;
      this.#onChange();
    }
  }

  /** Tells the work under way to stop, without waiting. */
  abort(): void {
    this.#running?.abort.abort();
  }

  /** As `abort`, and what is under way is nobody's business any more: it goes on to its next step and ends there by itself. */
  abandon(): void {
    this.abort();
    this.#running = null;
  }

  /** Resolves when nothing is under way. */
  async idle(): Promise<void> {
    await this.#running?.done;
  }

  /** Breaks off the work under way, if any, and waits until it has let go. */
  async cancel(): Promise<void> {
    this.abort();
    await this.idle();
  }
}
