/** One worker: its clients, its pools, its share of the work. */

import type { Socket } from 'node:net';
import { createSecureContext } from 'node:tls';
import {
  type Classification,
  createPgClassifier,
  DEFAULT_PG_SESSION,
  mergeClassifications,
  type PgClassifier,
} from '@understudy/routing';
import { loadPgGrammar } from '@understudy/routing/runtime';
import type { LoginKeys } from '@understudy/wire/postgres';
import type { WorkerConfig } from '../config/config.ts';
import type { FromWorker, WorkerReport } from '../supervisor/messages.ts';
import type { ClusterView, Wanted } from '../topology/view.ts';
import { AdminConsole } from './admin/serve.ts';
import { adopt } from './adopt.ts';
import { Batch } from './batch.ts';
import { CancelKeys, sendCancel } from './cancel.ts';
import { endPointOf } from './client/channel-binding.ts';
import type { ClientTls } from './client/client-login.ts';
import type { ClientSession, SessionFacts, SessionHost } from './client/client-session.ts';
import { Verifiers } from './client/verifiers.ts';
import { logIn, type SessionWelcome } from './client/welcome.ts';
import { Pool } from './pool/pool.ts';
import type { ServerConnection } from './server/server-connection.ts';
import type { Credentials } from './server/server-login.ts';
import { PreparedRegistry } from './server/server-statements.ts';

const TRIM_MS = 5_000;
const USERS_MAX = 100_000;
const TEXTS_MAX = 5_000;
const TEXT_MAX_CHARS = 1_024;

interface Group {
  readonly pool: Pool;
  readonly classifier: PgClassifier;
  readonly texts: Map<string, Classification>;
}

export class Worker {
  readonly config: WorkerConfig;
  readonly batch = new Batch();
  readonly registry = new PreparedRegistry();
  readonly cancels: CancelKeys;
  readonly tls: ClientTls | null;
  readonly verifiers: Verifiers;
  readonly sessions = new Set<ClientSession>();
  readonly #tell: (message: FromWorker) => void;
  readonly #groups = new Map<string, Group>();
  readonly #keys = new Map<string, LoginKeys>();
  readonly #login: Pool;
  readonly #trim: NodeJS.Timeout;
  readonly #grammar: Awaited<ReturnType<typeof loadPgGrammar>>;
  #view: ClusterView;
  #clients = 0;
  #stopped = false;
  readonly counts = {
    logins: 0,
    refusedLogins: 0,
    requests: 0,
    cancels: 0,
    replayed: 0,
    lost: {} as Record<string, number>,
  };
  readonly admin: AdminConsole;

  static async start(config: WorkerConfig, view: ClusterView, tell: (message: FromWorker) => void): Promise<Worker> {
    return new Worker(config, view, tell, await loadPgGrammar());
  }

  private constructor(
    config: WorkerConfig,
    view: ClusterView,
    tell: (message: FromWorker) => void,
    grammar: Awaited<ReturnType<typeof loadPgGrammar>>,
  ) {
    this.config = config;
    this.#view = view;
    this.#tell = tell;
    this.#grammar = grammar;
    this.cancels = new CancelKeys(config.index);
    this.tls = clientTls(config);
    const { user, database, password } = config.auth;
    this.#login = this.#pool(user, database, () => ({ kind: 'password', password }), 2);
    this.verifiers = new Verifiers(this.#login);
    this.admin = new AdminConsole(this, tell);
    this.#trim = setInterval(() => this.#trimPools(), TRIM_MS);
  }

  get view(): ClusterView {
    return this.#view;
  }

  setView(view: ClusterView): void {
    this.#view = view;
    this.#login.changed();
    for (const { pool } of this.#groups.values()) pool.changed();
    this.batch.flush();
  }

  /** A connection that the supervisor accepted. */
  accept(socket: Socket, wanted: Wanted): void {
    if (this.#stopped) {
      socket.destroy();
      return;
    }
    this.#clients++;
    this.#tell({ kind: 'load', clients: this.#clients });
    socket.setNoDelay(true);
    socket.setKeepAlive(true, 10_000);
    const leave = (): void => {
      this.#clients--;
      this.#tell({ kind: 'load', clients: this.#clients });
    };
    logIn(this, socket, wanted).then(
      (welcome) => {
        if (welcome === null) leave();
        else if (welcome.kind === 'admin') this.admin.serve(welcome.socket, leave);
        else this.#welcome(welcome, leave);
      },
      () => {
        this.counts.refusedLogins++;
        socket.destroy();
        leave();
      },
    );
  }

  #welcome({ socket, session, isEncrypted }: SessionWelcome, leave: () => void): void {
    this.counts.logins++;
    let reader: ClientSession | null = null;
    const onBytes = (bytes: Buffer, length: number): boolean => reader?.read(bytes, length) ?? false;
    const own = isEncrypted ? socket : adopt(socket, onBytes);
    if (isEncrypted) own.on('data', (bytes: Buffer) => onBytes(bytes, bytes.length));
    own.setNoDelay(true);
    reader = session(own, leave);
    this.sessions.add(reader);
    own.resume();
  }

  /** What a session needs of this worker. `onEnded` is called once. */
  host(user: string, database: string, processId: number, onEnded: () => void): SessionHost {
    const group = this.group(user, database);
    return {
      batch: this.batch,
      pool: group.pool,
      registry: this.registry,
      classify: (text, facts) => this.#classify(group, text, facts),
      classifyGroup: mergeClassifications,
      cancel: (server) => this.cancel(server),
      counted: (what) => this.#count(what),
      ended: (session) => {
        this.sessions.delete(session);
        this.cancels.forget(processId);
        onEnded();
      },
    };
  }

  #count(what: 'replay' | { readonly lost: string }): void {
    if (what === 'replay') this.counts.replayed++;
    else this.counts.lost[what.lost] = (this.counts.lost[what.lost] ?? 0) + 1;
  }

  #classify(group: Group, text: string, facts: SessionFacts): Classification {
    this.counts.requests++;
    const isPlain = facts.standardConformingStrings && facts.isEncodingSafe && text.length <= TEXT_MAX_CHARS;
    const known = isPlain ? group.texts.get(text) : undefined;
    if (known !== undefined) return known;
    const found = group.classifier.classify(text, { ...DEFAULT_PG_SESSION, ...facts });
    if (!isPlain) return found;
    if (group.texts.size >= TEXTS_MAX) group.texts.clear();
    group.texts.set(text, found);
    return found;
  }

  group(user: string, database: string): Group {
    const key = `${user}\0${database}`;
    const known = this.#groups.get(key);
    if (known !== undefined) return known;
    const group: Group = {
      pool: this.#pool(user, database, () => this.#credentials(user), this.config.poolSize),
      classifier: createPgClassifier(this.#grammar),
      texts: new Map(),
    };
    this.#groups.set(key, group);
    return group;
  }

  /** What a client proved to have logs in to the servers, as long as the password is the same. */
  remember(user: string, keys: LoginKeys): void {
    if (this.#keys.size >= USERS_MAX && !this.#keys.has(user)) this.#keys.clear();
    this.#keys.set(user, keys);
  }

  #credentials(user: string): Credentials {
    const keys = this.#keys.get(user);
    return keys === undefined ? { kind: 'none' } : { kind: 'keys', keys };
  }

  #pool(user: string, database: string, credentials: () => Credentials, size: number): Pool {
    const { poolIdleMs, waitMs, waiting, waitingBytes } = this.config;
    return new Pool({
      user,
      database,
      credentials,
      view: () => this.#view,
      tls: this.config.serverTls,
      limits: { size, idleMs: poolIdleMs, waitMs, waiting, waitingBytes },
      batch: this.batch,
      onRefused: (error) => {
        if (error.code.startsWith('28')) this.verifiers.forget(user);
      },
      onLost: () => this.#tell({ kind: 'trouble' }),
    });
  }

  pools(): readonly (readonly [string, string, Pool])[] {
    return [...this.#groups.values()].map(({ pool }) => [pool.options.user, pool.options.database, pool] as const);
  }

  cancel(server: ServerConnection): void {
    this.counts.cancels++;
    sendCancel(server);
  }

  /** A request to cancel, here or elsewhere. */
  cancelBy(processId: number, secret: Buffer): void {
    if (!this.cancels.isOwn(processId)) {
      this.#tell({ kind: 'cancel', processId, secretHex: secret.toString('hex') });
      return;
    }
    const session = this.cancels.find(processId, secret);
    if (session !== null) session.cancel();
  }

  report(): WorkerReport {
    return this.admin.report();
  }

  stop(): void {
    this.#stopped = true;
    clearInterval(this.#trim);
    for (const session of [...this.sessions]) session.endWith('57P01', 'the router is shutting down');
    this.#login.close();
    for (const { pool } of this.#groups.values()) pool.close();
  }

  #trimPools(): void {
    const now = performance.now();
    for (const { pool } of this.#groups.values()) pool.trim(now);
  }
}

/** @throws Error when the certificate and the key do not fit */
function clientTls({ tls }: WorkerConfig): ClientTls | null {
  if (tls === null) return null;
  return {
    context: createSecureContext({ cert: tls.cert, key: tls.key, minVersion: 'TLSv1.2' }),
    endPoint: endPointOf(tls.cert),
    required: tls.required,
  };
}
