import { readFile } from 'node:fs/promises';
import type { Member } from '@understudy/core';
import { engineError } from '../errors.ts';
import { accounts } from '../names.ts';
import type { MysqlOptions } from '../options.ts';
import type { Paths } from '../paths.ts';
import { ServerSession, type SessionTarget } from './session.ts';

/** Connections of the agent to its own server, over the private socket: one that is kept for observation, and others for work. */
export class LocalSql {
  readonly #target: SessionTarget;
  #monitor: ServerSession | null = null;
  #opening: Promise<ServerSession> | null = null;
  readonly #listeners: (() => void)[] = [];

  constructor(options: Pick<MysqlOptions, 'secrets'>, paths: Pick<Paths, 'socket'>) {
    this.#target = {
      at: { kind: 'socket', path: paths.socket },
      user: accounts.admin,
      password: options.secrets.admin,
      ca: null,
    };
  }

  /** Calls back when the kept connection is cut: usually the first sign that an adopted server has died. */
  onCut(listener: () => void): void {
    this.#listeners.push(listener);
  }

  /** The kept connection, made when there is none. */
  async monitor(timeoutMs: number): Promise<ServerSession> {
    if (this.#monitor?.isOpen) return this.#monitor;
    this.#opening ??= this.#openMonitor(timeoutMs).finally(() => {
      this.#opening = null;
    });
    return this.#opening;
  }

  async #openMonitor(timeoutMs: number): Promise<ServerSession> {
    const session = await ServerSession.open(this.#target, timeoutMs, () => {
      if (this.#monitor === session) this.#monitor = null;
      for (const listener of this.#listeners) listener();
    });
    this.#monitor = session;
    return session;
  }

  /** A new connection, which the caller ends. */
  open(timeoutMs: number): Promise<ServerSession> {
    return ServerSession.open(this.#target, timeoutMs);
  }

  /** Runs `work` on a new connection, which is ended afterwards. */
  async fresh<T>(timeoutMs: number, work: (session: ServerSession) => Promise<T>): Promise<T> {
    const session = await this.open(timeoutMs);
    try {
      return await work(session);
    } finally {
      await session.end();
    }
  }

  /** Ends the kept connection. */
  async close(): Promise<void> {
    const monitor = this.#monitor;
    this.#monitor = null;
    await monitor?.end();
  }

  /** Cuts the kept connection, so that nothing waits for a server that is about to be killed. */
  cut(): void {
    this.#monitor?.destroy();
    this.#monitor = null;
  }
}

/**
 * Connects to another member's server with one of the cluster's accounts.
 *
 * @throws EngineError `ENGINE_UNREACHABLE`, `ENGINE_LOGIN_FAILED`, `ENGINE_DATA_REFUSED` when our authority's file cannot be read.
 */
export async function openMember(
  { secrets, tls }: Pick<MysqlOptions, 'secrets' | 'tls'>,
  member: Member,
  account: 'clone' | 'monitor',
  timeoutMs: number,
): Promise<ServerSession> {
  const at = { kind: 'tcp', host: member.host, port: member.port } as const;
  const ca = tls === null ? null : await readFile(tls.ca, 'utf8').catch((error: unknown) => unreadable(tls.ca, error));
  return ServerSession.open({ at, user: accounts[account], password: secrets[account], ca }, timeoutMs);
}

function unreadable(path: string, error: unknown): never {
  throw engineError('ENGINE_DATA_REFUSED', `Reading the authority's file ${path}`, error, 'safe');
}
