import { join } from 'node:path';
import type { Writable } from 'node:stream';
import { withDeadline } from '@understudy/base';
import type { EngineCommand } from '@understudy/core';
import { type CopyRequest, EngineError } from '@understudy/engine';
import { killProcessesWith, removeFile } from '@understudy/engine/host';
import { kill } from '../commands/readers.ts';
import { BackupStages } from './backup-stages.ts';
import { requireCopyable, requireSameSeries } from './copyable.ts';
import { runBackup } from './run-backup.ts';
import type { SendingHost } from './sending-host.ts';

const connectTimeoutMs = 3000;
const queryTimeoutMs = 2000;
const endTimeoutMs = 2000;

/** Commands that no copy may outlive: the server is stopped, or what it holds changes under the copy. */
const endsCopies = new Set<EngineCommand['kind']>([
  'initialize',
  'stop',
  'restart',
  'clone',
  'seal',
  'follow',
  'promote',
]);

interface Running {
  readonly to: string;
  readonly stages: BackupStages;
  readonly abort: AbortController;
  /** Never rejects. */
  readonly done: Promise<unknown>;
}

/** The one copy of this server's files that may be on its way to another member. */
export class OutgoingCopy {
  readonly #host: SendingHost;
  #running: Running | null = null;
  /** Commands that are being carried out. */
  readonly #commands = new Set<{ readonly kind: string }>();

  constructor(host: SendingHost) {
    this.#host = host;
  }

  /** Kills the backup of an agent that died: it may still hold the server's locks, and nobody reads what it writes. */
  async killLeftovers(): Promise<void> {
    await killProcessesWith(`--defaults-file=${configOf(this.#host)}`);
  }

  /**
   * Writes a copy of this server's files to `output` as `mbstream` reads it, without ending it.
   *
   * @throws EngineError see `Engine.sendCopy`.
   */
  async send(request: CopyRequest, output: Writable, signal: AbortSignal): Promise<void> {
    requireSameSeries(this.#host, request);
    this.#requireFree();
    const abort = new AbortController();
    const stages = new BackupStages();
    const work = this.#send(request, output, AbortSignal.any([signal, abort.signal]), stages);
    this.#running = { to: request.member, stages, abort, done: work.catch(() => undefined) };
    try {
      await work;
    } finally {
      this.#running = null;
    }
  }

  #requireFree(): void {
    const { member } = this.#host.options;
    const reason =
      this.#running === null
        ? [...this.#commands].map(({ kind }) => `carries out "${kind}"`)[0]
        : `sends a copy to ${this.#running.to}`;
    if (reason !== undefined) throw new EngineError('ENGINE_BUSY', `${member} ${reason}; the copy has to wait.`);
  }

  async #send(request: CopyRequest, output: Writable, signal: AbortSignal, stages: BackupStages): Promise<void> {
    const { sql, log } = this.#host;
    await sql.fresh(connectTimeoutMs, (session) => requireCopyable(this.#host, session));
    signal.throwIfAborted();
    log({ level: 'info', message: `A copy of the files is sent to ${request.member}.` });
    const mayBlock = (): string | null =>
      stages.blocksCommits && this.#commands.size > 0
        ? 'the agent had work for the server that it would have kept waiting'
        : null;
    try {
      await runBackup(this.#host, {
        config: configOf(this.#host),
        to: request.member,
        output,
        signal,
        stages,
        mayBlock,
      });
    } finally {
      // The server notices within a second that the program is gone; what waits behind its locks need not wait for that.
      if (stages.blocksCommits) await this.#endSessions().catch(() => undefined);
      await removeFile(configOf(this.#host));
    }
  }

  async #endSessions(): Promise<void> {
    await this.#host.sql.fresh(connectTimeoutMs, async (session) => {
      const rows = await session.query(
        "select id as id from information_schema.processlist where info like 'BACKUP STAGE %'",
        [],
        queryTimeoutMs,
      );
      for (const { id } of rows) await kill(session, id ?? '');
    });
  }

  /** Carries out `work` for a command, with no copy in its way: neither does one begin meanwhile, nor does one keep the commits waiting. */
  async besides<T>(kind: EngineCommand['kind'], work: () => Promise<T>): Promise<T> {
    const command = { kind };
    this.#commands.add(command);
    try {
      const running = this.#running;
      if (running !== null && (endsCopies.has(kind) || running.stages.blocksCommits)) await this.end(kind);
      return await work();
    } finally {
      this.#commands.delete(command);
    }
  }

  /** Ends the copy that is on its way, if any; resolves when its program is gone, or cannot be killed. */
  async end(reason: string): Promise<void> {
    const running = this.#running;
    if (running === null) return;
    const text = `${this.#host.options.member} ended the copy, as its server had other things to do (${reason}).`;
    running.abort.abort(new EngineError('ENGINE_CLONE_FAILED', text));
    await withDeadline(running.done, endTimeoutMs, () => new Error('late')).catch(() => undefined);
  }
}

const configOf = ({ paths }: Pick<SendingHost, 'paths'>): string => join(paths.runDir, 'copy.cnf');
