import { join } from 'node:path';
import { pollUntil } from '@understudy/base';
import { commandOf, type ProcessInfo, signalPid } from '@understudy/base/processes';
import { AgentApi } from './api.ts';
import type { EtcdMember } from './etcd-member.ts';
import type { NodePaths } from './folder.ts';
import type { NodeAddress } from './options.ts';
import { type ProcessMark, processesOf } from './proc.ts';
import { endGently, freeze, killAll, waitForEnd } from './signals.ts';
import { Supervised, type SupervisedEvent } from './supervised.ts';

/** How long an agent may take to stop its server in order before everything of the node is killed. */
const stopGraceMs = 40_000;
/** The guard starts a dead agent again by itself; only when it has not, we do. */
const guardHeadStartMs = 2000;

export interface NodeOptions {
  readonly address: NodeAddress;
  readonly paths: NodePaths;
  readonly clusterId: string;
  /** Runs the agent of this node, on its host. */
  readonly command: readonly string[];
  readonly token: string;
  /** Text of the cluster's authority, where the API is https. */
  readonly ca: string | null;
  /** The member of etcd on this node's host: it shares the host's fate. Null: none does. */
  readonly storeMember: EtcdMember | null;
  readonly onEvent: (event: SupervisedEvent) => void;
}

export const clusterVariable = 'UNDERSTUDY_CLUSTER_ID';
export const nodeVariable = 'UNDERSTUDY_NODE_MARK';

/** One node of a local cluster: its agent, guard and server as processes of this machine. */
export class LocalNode {
  readonly address: NodeAddress;
  readonly paths: NodePaths;
  readonly api: AgentApi;
  readonly mark: ProcessMark;
  readonly #agent: Supervised;
  readonly #storeMember: EtcdMember | null;

  constructor(options: NodeOptions) {
    const { address, clusterId, paths } = options;
    this.#storeMember = options.storeMember;
    this.address = address;
    this.paths = paths;
    this.api = new AgentApi(address.apiUrl, options.token, options.ca);
    const value = `${clusterId}/${address.name}`;
    this.mark = { variable: `${nodeVariable}=${value}`, folder: paths.folder };
    this.#agent = new Supervised(
      {
        name: address.name,
        command: options.command,
        env: { [clusterVariable]: clusterId, [nodeVariable]: value },
        log: paths.log,
        user: null,
        workingFolder: paths.folder,
        yieldMs: guardHeadStartMs,
        runsElsewhere: () => this.agents().length > 0,
      },
      options.onEvent,
    );
  }

  get name(): string {
    return this.address.name;
  }

  /** How the agent that we started ended last; null when it never did. */
  get lastEnd(): string | null {
    return this.#agent.lastEnd;
  }

  /** Starts the agent, as a host does when it boots. */
  start(): void {
    this.#storeMember?.start();
    this.#agent.start();
  }

  /** All processes of this node: agent, guard, server and its children. */
  processes(): readonly ProcessInfo[] {
    return processesOf(this.mark);
  }

  /** The running agent (one, unless it is just being replaced). */
  agents(): readonly ProcessInfo[] {
    return this.processes().filter(({ pid }) => roleOf(pid, this.paths.config) === 'agent');
  }

  guards(): readonly ProcessInfo[] {
    return this.processes().filter(({ pid }) => roleOf(pid, this.paths.config) === 'guard');
  }

  /** The server's first process; null while it does not run. */
  server(): ProcessInfo | null {
    const own = this.processes();
    const servers = own.filter(({ pid }) => isServer(commandOf(pid), this.paths));
    const pids = new Set(servers.map(({ pid }) => pid));
    return servers.find(({ parent }) => !pids.has(parent)) ?? null;
  }

  /** Ends agent, guard, server and the host's member of etcd at once, as when the host loses power. Nothing is started again before {@link start}. */
  async killHost(): Promise<void> {
    this.#agent.abandon();
    await Promise.all([this.#storeMember?.kill(), killAll(this.mark)]);
  }

  /** Stops every process in mid-air. @returns the ids, for `thaw`. */
  freezeHost(): Promise<readonly number[]> {
    return freeze(() => [...this.processes(), ...(this.#storeMember?.processes ?? [])]);
  }

  /** Stops the server's processes in mid-air; agent and guard run on. @returns the ids, for `thaw`. */
  freezeServer(): Promise<readonly number[]> {
    return freeze(() => this.processes().filter(({ pid }) => roleOf(pid, this.paths.config) === 'other'));
  }

  /** Stops the agent, which stops its server in order; kills what does not end. */
  async stop(): Promise<void> {
    this.#agent.abandon();
    const agents = this.agents();
    for (const { pid } of agents) signalPid(pid, 'SIGTERM');
    await Promise.all(agents.map((agent) => waitForEnd(agent, stopGraceMs)));
    const gone = await pollUntil(() => (this.processes().length === 0 ? true : null), { everyMs: 30, timeoutMs: 3000 });
    if (gone === null) await endGently(this.guards(), 500);
    await killAll(this.mark);
  }
}

/** PostgreSQL is told its data directory, MySQL and MariaDB a file that we wrote. */
function isServer(command: string, paths: NodePaths): boolean {
  if (command.includes(` -D ${paths.dataDir}`)) return true;
  return /\b(mysqld|mariadbd)\b/.test(command) && command.includes(` --defaults-file=${socketFolderOf(paths)}/`);
}

/** Agent and guard are the same program with other arguments. */
function roleOf(pid: number, config: string): 'agent' | 'guard' | 'other' {
  const command = commandOf(pid);
  if (/\bguard\b/.test(command.replaceAll(config, ''))) return 'guard';
  return command.includes('agent --config') ? 'agent' : 'other';
}

/** Folder of the server's Unix socket. */
export const socketFolderOf = (paths: NodePaths): string => join(paths.runDir, 'server');
