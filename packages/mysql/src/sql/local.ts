import type { Member } from '@understudy/core';
import { readBytes } from '@understudy/engine/host';
import { engineError } from '../errors.ts';
import { accounts } from '../names.ts';
import type { MysqlOptions } from '../options.ts';
import type { Paths } from '../paths.ts';
import type { Seam } from '../seam.ts';
import type { SessionTls } from './encryption.ts';
import { ServerSession, type SessionTarget } from './session.ts';

/** A handover has three connections at a time, and the probe has one. They are also what is left when clients have filled the server. */
const sparesKept = 4;
/** Connections of the agent to its own server, over the private socket: one that is kept for observation, and others for work. */
export class LocalSql {
  readonly #target: SessionTarget;
  #monitor: ServerSession | null = null;
  #opening: Promise<ServerSession> | null = null;
  readonly #listeners: (() => void)[] = [];
  #spares: ServerSession[] = [];
  /** Grows whenever everything is closed. */
  #age = 0;

  constructor(options: Pick<MysqlOptions, 'secrets'>, paths: Pick<Paths, 'socket'>, seam?: Seam) {
    this.#target = {
      at: { kind: 'socket', path: paths.socket },
      user: accounts.admin,
      password: options.secrets.admin,
      tls: null,
      seam,
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
    const session = await this.open(timeoutMs);
    session.onClose(() => {
      if (this.#monitor === session) this.#monitor = null;
      for (const listener of this.#listeners) listener();
    });
    this.#monitor = session;
    return session;
  }

  /** A connection which the caller ends: a spare, as every millisecond of a login counts in a failover; a new one when there is none. */
  async open(timeoutMs: number): Promise<ServerSession> {
    return this.#takeSpare() ?? ServerSession.open(this.#target, timeoutMs);
  }

  /** Runs `work` on such a connection, which is a spare again afterwards when all went well. */
  async fresh<T>(timeoutMs: number, work: (session: ServerSession) => Promise<T>): Promise<T> {
    const session = await this.open(timeoutMs);
    const age = this.#age;
    let left: 'as-it-was' | 'unknown' = 'unknown';
    try {
      const result = await work(session);
      left = 'as-it-was';
      return result;
    } finally {
      const isWanted = session.isOpen && age === this.#age && this.#spares.length < sparesKept;
      if (left === 'as-it-was' && isWanted) this.#spares.push(session);
      else await session.end();
    }
  }

  #takeSpare(): ServerSession | undefined {
    this.#spares = this.#spares.filter(({ isOpen }) => isOpen);
    return this.#spares.pop();
  }

  /** Called now and then: clients may fill the server, and its agent must get in all the same. */
  async keepSpares(timeoutMs: number): Promise<void> {
    this.#spares = this.#spares.filter(({ isOpen }) => isOpen);
    const age = this.#age;
    while (this.#spares.length < sparesKept) {
      const spare = await ServerSession.open(this.#target, timeoutMs);
      // Closed meanwhile: an ordered shutdown would wait for this one.
      if (age !== this.#age) return spare.end();
      this.#spares.push(spare);
    }
  }

  #dropSpares(): readonly ServerSession[] {
    this.#age += 1;
    const spares = this.#spares;
    this.#spares = [];
    return spares;
  }

  /** Ends the kept connections. */
  async close(): Promise<void> {
    const monitor = this.#monitor;
    this.#monitor = null;
    const spares = this.#dropSpares();
    await Promise.all([monitor?.end(), ...spares.map((spare) => spare.end())]);
  }

  /** Cuts the kept connections, so that nothing waits for a server that is about to be killed. */
  cut(): void {
    for (const spare of this.#dropSpares()) spare.destroy();
    this.#monitor?.destroy();
    this.#monitor = null;
  }
}

/**
 * Connects to another member's server with one of the cluster's accounts.
 *
 * @throws EngineError `ENGINE_UNREACHABLE`, `ENGINE_LOGIN_FAILED`, `ENGINE_DATA_REFUSED` when a file of `tls` cannot be read.
 */
export async function openMember(
  { secrets, tls, plain }: Pick<MysqlOptions, 'secrets' | 'tls' | 'plain'>,
  member: Pick<Member, 'host' | 'port'>,
  account: 'clone' | 'monitor',
  timeoutMs: number,
): Promise<ServerSession> {
  const at = { kind: 'tcp', host: member.host, port: member.port } as const;
  const login = { at, user: accounts[account], password: secrets[account], plain };
  return ServerSession.open({ ...login, tls: await sessionTls(tls) }, timeoutMs);
}

/** The files that a session with another member needs, as they are now. */
async function sessionTls(tls: MysqlOptions['tls']): Promise<SessionTls | null> {
  if (tls === null) return null;
  const [ca, cert, key] = await Promise.all([tls.ca, tls.cert, tls.key].map(readPem));
  return { ca: ca ?? '', own: { cert: cert ?? '', key: key ?? '' }, verify: tls.verify };
}

async function readPem(path: string): Promise<string> {
  const bytes = await readBytes(path).catch((error: unknown) => {
    throw engineError('ENGINE_DATA_REFUSED', `Reading the file ${path} of engine.tls`, error, 'safe');
  });
  return String(bytes);
}
