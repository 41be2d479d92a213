import { codeOf, monotonicMs, pause, reasonOf, withDeadline } from '@understudy/base';
/** Starts an agent from its configuration, in an order in which nothing is touched before everything is known to be right. */

import { randomUUID } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { incarnation, type Member, type MemberId, memberId } from '@understudy/core';
import type { Engine, OpenCopy } from '@understudy/engine';
import { openStore, type Store, type StoreConfig } from '@understudy/store';
import type { Identity } from '../access/identify.ts';
import { loadTokens, type Token } from '../access/tokens.ts';
import { type Listener, openListener } from '../api/listener.ts';
import { unkeepable } from '../config/acks.ts';
import type { NodeConfig } from '../config/node-config.ts';
import { advertisedUrl } from '../config/node-file.ts';
import { loadSecrets, refuseExposedKeys, type Secrets } from '../config/secrets.ts';
import { AgentError } from '../errors.ts';
import { GuardClient } from '../guard/client.ts';
import { MemberLoginFile } from '../logins/own-logins.ts';
import { copyOpener } from '../peers/copy.ts';
import { type MemberSecret, memberSecretOf } from '../peers/introduction.ts';
import type { PeerTls } from '../peers/stream.ts';
import { Agent } from './agent.ts';
import { lockRunDir, type RunDirLock, requireOwnPlaces } from './lock.ts';
import { type AgentLog, type Logger, openLog } from './logger.ts';
import { saveMemory } from './memory.ts';
import { refuseTakenServerId, serverIdOf } from './server-id.ts';

/** What an engine is made from. */
export interface EngineContext {
  readonly config: NodeConfig;
  readonly secrets: Secrets;
  readonly log: Logger;
  /** The clock of `promote`'s `notAfter`, in ms. */
  readonly clock: () => number;
  /** How the files of another member's server are got, from its agent. */
  readonly openCopy: OpenCopy;
}

/** Makes the engine that the configuration names. It must not touch the server yet. */
export type EngineFactory = (context: EngineContext) => Promise<Engine>;

/** What becomes of the database server when its agent ends. */
export type ServerFate = 'stop' | 'leave-running';

export type AgentEnd =
  | { readonly kind: 'stopped'; readonly server: ServerFate }
  | { readonly kind: 'failed'; readonly error: AgentError };

export interface RunningAgent {
  readonly apiUrl: string;
  /** Resolves when the agent has ended, for whatever reason; never rejects. */
  readonly ended: Promise<AgentEnd>;
  /** Ends in order. A second call returns the same promise. */
  stop(server: ServerFate): Promise<AgentEnd>;
}

export interface RunOptions {
  /** `handle` (default): SIGTERM and SIGINT stop agent and server, SIGUSR2 only the agent. */
  readonly signals?: 'handle' | 'ignore';
  /** Where the configuration was read from: `POST /reload` reads it again. */
  readonly configFile?: string;
}

/** How long handing over may take: a short checkpoint, the engine's orderly stop, and one write to the store. */
const LEAVE_LIMIT_MS = 20_000;
/** How long an orderly stop of the server may take before the agent ends without it. */
const STOP_LIMIT_MS = 60_000;
/** The longest that callers of the API wait for an agent that starts. */
const API_HELD_MS = 500;

/**
 * Runs an agent. Resolves when it is up: its API listens and it has begun to act.
 *
 * @throws AgentError `AGENT_ALREADY_RUNNING`, `RUN_DIR_UNUSABLE`, `CONFIG_UNREADABLE`, `SECRETS_EXPOSED`, `CONFIG_INVALID`,
 *   `API_PORT_IN_USE`, `API_LISTEN_FAILED`, `MEMBER_NAME_TAKEN`, `SERVER_ID_TAKEN`; StoreError for a wrong store configuration; whatever the factory throws
 */
export async function runAgent(
  config: NodeConfig,
  engineFactory: EngineFactory,
  options: RunOptions = {},
): Promise<RunningAgent> {
  const undo: (() => Promise<void> | void)[] = [];
  saveMemory();
  try {
    return await start(config, engineFactory, options, undo);
  } catch (error) {
    for (const step of undo.reverse()) await step();
    throw error;
  }
}

type Undo = (() => Promise<void> | void)[];

async function start(
  config: NodeConfig,
  engineFactory: EngineFactory,
  options: RunOptions,
  undo: Undo,
): Promise<RunningAgent> {
  const self = incarnation(randomUUID());
  const lock = await lockRunDir(config.runDir, {
    member: config.member,
    apiUrl: advertisedUrl(config),
    incarnation: self,
  });
  undo.push(() => lock.release());
  const secrets = await loadSecrets(config.secretsFile);
  await refuseExposedKeys(config);
  const tokens = config.api.tokenFile === undefined ? [] : await loadTokens(config.api.tokenFile);
  // Asked at each proof: a token that was dropped must not go on showing who is a member.
  let tokensInForce = (): readonly Token[] => tokens;
  const olderTokens = () => tokensInForce().flatMap(({ role, secret }) => (role === 'admin' ? [secret] : []));
  const memberSecret = memberSecretOf(config.cluster, secrets, olderTokens);
  const tls = await loadTls(config);
  requireOwnPlaces(config);
  const log = openLog(config);
  undo.push(() => {
    log.flush();
    log.close();
  });
  const store = await openStore(storeConfigOf(config));
  undo.push(() => store.close());
  const openCopy = copyOpener({
    self: memberId(config.member),
    tls,
    secret: memberSecret,
    encryption: config.engine.tls === undefined && config.insecure ? 'as-it-is' : 'required',
  });
  const engine = await engineFactory({ config, secrets, log: log.logger, clock: monotonicMs, openCopy });
  undo.push(() => engine.close('leave-running'));
  const folder = config.stateDir ?? config.runDir;
  const logins = await MemberLoginFile.open(folder, memberId(config.member), engine, config.engine.dataDir);
  const agent = new Agent({
    config,
    incarnation: self,
    predecessors: lock.predecessors,
    engine,
    store,
    tokens,
    memberSecret,
    logins,
    peerTls: tls,
    makeGuard: config.guard.mode === 'off' ? null : (runningMs) => makeGuard(config, log.logger, runningMs),
    log: log.logger,
  });
  tokensInForce = () => agent.tokens;
  const listener = await openListener(config.api, tls, identityOf(agent, memberSecret));
  undo.push(() => listener.close());
  const lifetime = new Lifetime({ agent, store, engine, lock, log, listener });
  undo.push(() => agent.guard?.close('stay'));
  undo.push(() => agent.close());
  await agent.open();
  const begun = nameIsFree(agent).then(() => {
    refuseTakenServerId(agent.link.snapshot, agent.self, serverIdOf(config));
    refuseUnfoundedRule(agent);
    agent.run();
  });
  // A server that waits for its next agent has a deadline, callers have patience: what serves them is loaded after the first decision.
  await Promise.race([begun.then(() => firstDecision(agent)), pause(API_HELD_MS)]);
  const { serveApi } = await import('../api/server.ts');
  const detach = () => void lifetime.stop('leave-running');
  const configFile = options.configFile ?? null;
  await serveApi({ agent, log: log.logger, detach, configFile }, listener);
  await begun;
  lifetime.watchName();
  if (options.signals !== 'ignore') lifetime.handleSignals();
  log.logger.info({ incarnation: self, api: advertisedUrl(config), store: store.describe() }, 'agent runs');
  return lifetime;
}

const NO_MEMBERS: ReadonlyMap<MemberId, Member> = new Map();

/** What callers of the API are judged by. */
function identityOf(agent: Agent, secret: MemberSecret): Identity {
  return {
    self: agent.self,
    secret,
    clientCert: agent.config.api.tls?.clientCert ?? 'none',
    policy: () => {
      const { loopback, certificates } = agent.config.api;
      return {
        tokens: agent.tokens,
        certificates,
        loopback,
        members: agent.link.decoded?.content.members ?? NO_MEMBERS,
      };
    },
  };
}

/** Resolves with the first decision, or without one when there is none for long. */
function firstDecision(agent: Agent): Promise<void> {
  return new Promise((resolve) => {
    const finish = () => {
      clearTimeout(timer);
      stop();
      resolve();
    };
    const timer = setTimeout(finish, API_HELD_MS);
    const stop = agent.onChange(() => {
      if (agent.latest !== null) finish();
    });
  });
}

/**
 * A cluster is not founded with a rule that its engine cannot keep; one that runs goes on, with a warning.
 * @throws AgentError `CONFIG_INVALID`
 */
function refuseUnfoundedRule(agent: Agent): void {
  const content = agent.link.decoded?.content;
  if (content === undefined || content.record !== null) return;
  const wrong = unkeepable(agent.engine, agent.clusterConfig);
  if (wrong.length === 0) return;
  const text = `The cluster's configuration in the store cannot be kept: ${wrong.join('; ')}.`;
  throw new AgentError('CONFIG_INVALID', text, { next: 'Change it before the cluster is founded.' });
}

function makeGuard(config: NodeConfig, log: Logger, runningMs: () => number): GuardClient {
  const { restartAgent, watchdog } = config.guard;
  const isManaged = process.env.INVOCATION_ID !== undefined || process.env.NOTIFY_SOCKET !== undefined;
  return new GuardClient({
    runDir: config.runDir,
    restart: restartAgent === 'always' || (restartAgent === 'automatic' && !isManaged) ? 'yes' : 'no',
    watchdogDevice: watchdog?.device ?? null,
    runningMs,
    log: (text) => log.info(text),
  });
}

/**
 * Waits until this member's session is ours, or the store turns out to be away. Another live agent of the same name is given the
 * time of one lease to prove that it lives.
 * @throws AgentError `MEMBER_NAME_TAKEN`
 */
async function nameIsFree(agent: Agent): Promise<void> {
  // The first look at the store; while it is down the server is started anyway, fenced.
  const firstLookEndsAt = monotonicMs() + 1_500;
  while (monotonicMs() < firstLookEndsAt) {
    const { state } = agent.session;
    if (state.kind === 'held' || (state.kind === 'none' && state.problem !== null)) return;
    if (state.kind === 'foreign') break;
    await pause(5);
  }
  const limitMs = agent.clusterConfig.leaseTtlMs * 1.5 + 1_000;
  const endsAt = monotonicMs() + limitMs;
  while (agent.session.state.kind === 'foreign') {
    if (monotonicMs() > endsAt) throw nameTaken(agent);
    await pause(50);
  }
}

function nameTaken(agent: Agent): AgentError {
  const other = agent.link.decoded?.content.members.get(agent.self)?.apiUrl;
  return new AgentError(
    'MEMBER_NAME_TAKEN',
    `Another live agent is registered as member "${agent.self}" of this cluster${other === undefined ? '' : ` (last known at ${other})`}.`,
    { next: 'Give each member its own name, or stop the other agent. Nothing was started here.' },
  );
}

function storeConfigOf(config: NodeConfig): StoreConfig {
  const { store, cluster } = config;
  if (store.kind === 'local') return { kind: 'local', path: store.path, cluster };
  const { endpoints, tls, username, passwordFile } = store;
  return {
    kind: 'etcd',
    endpoints,
    cluster,
    ...(tls === undefined ? {} : { tls }),
    ...(username === undefined ? {} : { username }),
    ...(passwordFile === undefined ? {} : { passwordFile }),
  };
}

async function loadTls(config: NodeConfig): Promise<PeerTls | null> {
  const { tls } = config.api;
  if (tls === undefined) return null;
  const read = async (path: string): Promise<string> => {
    try {
      return await readFile(path, 'utf8');
    } catch (cause) {
      const code = codeOf(cause) ?? reasonOf(cause);
      throw new AgentError('CONFIG_UNREADABLE', `${path}: cannot be read (${code}).`, {
        next: 'Correct api.tls.',
        cause,
      });
    }
  };
  const [ca, cert, key] = await Promise.all([read(tls.ca), read(tls.cert), read(tls.key)]);
  return { ca, cert, key };
}

interface LifetimeParts {
  readonly agent: Agent;
  readonly store: Store;
  readonly engine: Engine;
  readonly lock: RunDirLock;
  readonly log: AgentLog;
  readonly listener: Listener;
}

/** From "up" to "ended". */
class Lifetime implements RunningAgent {
  readonly apiUrl: string;
  readonly ended: Promise<AgentEnd>;
  readonly #parts: LifetimeParts;
  #resolve: (end: AgentEnd) => void = () => undefined;
  #stopping: Promise<AgentEnd> | null = null;
  #nameCheck: NodeJS.Timeout | null = null;
  readonly #signals: [NodeJS.Signals, () => void][] = [];

  constructor(parts: LifetimeParts) {
    this.#parts = parts;
    this.apiUrl = advertisedUrl(parts.agent.config);
    this.ended = new Promise((resolve) => {
      this.#resolve = resolve;
    });
  }

  stop(server: ServerFate): Promise<AgentEnd> {
    this.#stopping ??= this.#stop(server, null);
    return this.#stopping;
  }

  handleSignals(): void {
    const on = (name: NodeJS.Signals, server: ServerFate) => {
      const handler = () => void this.stop(server);
      process.on(name, handler);
      this.#signals.push([name, handler]);
    };
    on('SIGTERM', 'stop');
    on('SIGINT', 'stop');
    on('SIGUSR2', 'leave-running');
    // After a rotation by others; it must not end the agent.
    const reopen = () => {
      this.#parts.log.reopen();
      this.#parts.log.logger.info('the log was opened anew');
    };
    process.on('SIGHUP', reopen);
    this.#signals.push(['SIGHUP', reopen]);
  }

  /** Somebody else may take the name while this agent's lease had run out: then this one gives way, for good. */
  watchName(): void {
    const { agent } = this.#parts;
    this.#nameCheck = setInterval(() => {
      const { state } = agent.session;
      if (state.kind !== 'foreign' || monotonicMs() - state.since < agent.clusterConfig.leaseTtlMs) return;
      this.#stopping ??= this.#stop('stop', nameTaken(agent));
    }, 1_000);
  }

  async #stop(server: ServerFate, error: AgentError | null): Promise<AgentEnd> {
    const { agent, store, engine, lock, log, listener } = this.#parts;
    log.logger.info({ server, code: error?.code }, error?.message ?? 'agent stops');
    if (this.#nameCheck !== null) clearInterval(this.#nameCheck);
    const quietly = async (what: string, work: () => Promise<void>, limitMs: number): Promise<void> => {
      try {
        await withDeadline(work(), limitMs, () => new Error(`not done within ${limitMs} ms`));
      } catch (failure) {
        log.logger.warn({ code: codeOf(failure) ?? 'INTERNAL' }, `${what}: ${reasonOf(failure)}`);
      }
    };
    // An agent that gives way to another of its name has nothing to hand over.
    if (server === 'stop' && error === null) await agent.leave(LEAVE_LIMIT_MS);
    await quietly('last turn', () => agent.halt(), STOP_LIMIT_MS);
    // The guard first: from here on nothing is killed and nobody is started again.
    await quietly('guard', () => this.#dismissGuard(server), 2_000);
    await quietly('engine', () => engine.close(server), STOP_LIMIT_MS);
    await quietly('api', () => listener.close(), 2_000);
    await quietly('session', () => agent.close(), 5_000);
    await quietly('store', () => store.close(), 2_000);
    for (const [name, handler] of this.#signals) process.off(name, handler);
    lock.release();
    log.logger.info('agent ended');
    log.flush();
    log.close();
    const end: AgentEnd = error === null ? { kind: 'stopped', server } : { kind: 'failed', error };
    this.#resolve(end);
    return end;
  }

  async #dismissGuard(server: ServerFate): Promise<void> {
    const { guard, clusterConfig } = this.#parts.agent;
    if (guard === null) return;
    if (server === 'leave-running' && clusterConfig.durability === 'async') {
      // Without acknowledgements the deadline is the only fence: the server lives on until then, or until the next agent comes.
      await guard.close('stay');
      return;
    }
    guard.beat({ server: null, untilMs: null, certainty: 'decided' });
    await guard.close(server === 'stop' ? 'exit' : 'stay');
  }
}
