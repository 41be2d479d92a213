import { commandOf, type ProcessInfo } from '@understudy/base/processes';
import type { NodePaths, SupervisedEvent } from '@understudy/local';
import { freeze, killAll, type ProcessMark, processesOf, Supervised } from '@understudy/local/parts';
import { z } from 'zod';
import { ports } from './config.ts';

export interface PatroniNodeOptions {
  readonly name: string;
  readonly address: string;
  readonly paths: NodePaths;
  readonly clusterId: string;
  /** Runs Patroni on the node's host, as the servers' user. */
  readonly command: readonly string[];
  readonly onEvent: (event: SupervisedEvent) => void;
}

const memberSchema = z.object({ name: z.string(), role: z.string(), state: z.string() });
const clusterSchema = z.object({ members: z.array(memberSchema) });

export type PatroniMember = z.infer<typeof memberSchema>;

const variable = 'UNDERSTUDY_BENCH_NODE';
const callMs = 1000;
const switchoverMs = 30_000;

/** One node: Patroni and its PostgreSQL as processes of this machine, on a host of their own. Patroni is started again when it ends, as by a service manager. */
export class PatroniNode {
  readonly name: string;
  readonly address: string;
  readonly paths: NodePaths;
  readonly #mark: ProcessMark;
  readonly #patroni: Supervised;

  constructor({ name, address, paths, clusterId, command, onEvent }: PatroniNodeOptions) {
    this.name = name;
    this.address = address;
    this.paths = paths;
    const value = `${clusterId}/${name}`;
    this.#mark = { variable: `${variable}=${value}`, folder: paths.folder };
    this.#patroni = new Supervised(
      {
        name: `Patroni on ${name}`,
        command,
        env: { [variable]: value, HOME: paths.folder },
        log: paths.log,
        user: null,
        workingFolder: paths.folder,
        yieldMs: 0,
        runsElsewhere: () => false,
      },
      onEvent,
    );
  }

  start(): void {
    this.#patroni.start();
  }

  processes(): readonly ProcessInfo[] {
    return processesOf(this.#mark);
  }

  /** The server's first process; null while it does not run. */
  server(): ProcessInfo | null {
    const servers = this.processes().filter(({ pid }) => commandOf(pid).includes(` -D ${this.paths.dataDir} `));
    const pids = new Set(servers.map(({ pid }) => pid));
    return servers.find(({ parent }) => !pids.has(parent)) ?? null;
  }

  /** Ends Patroni and the server at once, as when the host loses power. Nothing is started again before {@link start}. */
  async killHost(): Promise<void> {
    this.#patroni.abandon();
    await killAll(this.#mark);
  }

  /** Stops every process in mid-air. @returns the ids, for `thaw`. */
  freezeHost(): Promise<readonly number[]> {
    return freeze(() => this.processes());
  }

  /** The cluster as this node's Patroni sees it; null when it does not answer. */
  async members(): Promise<readonly PatroniMember[] | null> {
    try {
      const response = await fetch(`${this.#url}/cluster`, { signal: AbortSignal.timeout(callMs) });
      return clusterSchema.parse(await response.json()).members;
    } catch {
      return null;
    }
  }

  /** Asks for a switchover away from this node. @returns what Patroni said; null when it was done. */
  async switchover(): Promise<string | null> {
    const response = await fetch(`${this.#url}/switchover`, {
      method: 'POST',
      body: JSON.stringify({ leader: this.name }),
      signal: AbortSignal.timeout(switchoverMs),
    });
    const said = await response.text();
    return response.status === 200 ? null : `${response.status} ${said}`;
  }

  get #url(): string {
    return `http://${this.address}:${ports.api}`;
  }
}
