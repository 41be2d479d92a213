import type { FetchProgress } from '@understudy/servers';
import type { LocalEngine } from './server.ts';
import type { SupervisedEvent } from './supervised.ts';

/** What the caller wants a cluster to be. What is left out is taken from the folder's last cluster, then from the defaults. */
export interface LocalClusterOptions {
  /** Name of the cluster; default `default`. */
  readonly name?: string;
  /** Folder of the cluster; default: see `defaultFolder`. */
  readonly folder?: string;
  readonly engine?: LocalEngine;
  /** Version of the server: PostgreSQL's major version (`17`), a series or version of the others (`9.7`, `11.8.6`). */
  readonly version?: string;
  /** Folder of the server's programs, instead of looking for them. */
  readonly binDir?: string;
  /** Number of nodes (1 to 9), default 3. */
  readonly nodes?: number;
  readonly store?: 'local' | 'etcd';
  /** Members of the etcd that is started with the cluster: 1 (default) or 3. */
  readonly etcdMembers?: 1 | 3;
  /** `nodes`: the members run on the first nodes' hosts, and are lost with them (only with `namespaces`). Default: `apart`. */
  readonly etcdHosts?: 'apart' | 'nodes';
  readonly etcdVersion?: string;
  readonly durability?: 'sync' | 'async';
  /**
   * `all`: everything goes over TLS, with certificates of the cluster's own authority; the default of a new cluster. `replication`: all
   * but etcd. `off`: nothing, so that whoever takes a port of a stopped cluster is told its token and passwords. A kept cluster keeps
   * what it has, unless this says otherwise.
   */
  readonly tls?: 'off' | 'replication' | 'all';
  /** `namespaces`: every node on a host of its own (root only); for drills. The default is `loopback`. */
  readonly hosts?: 'loopback' | 'namespaces';
  /** Server parameters of every node. */
  readonly parameters?: Readonly<Record<string, string>>;
  /** Settings of the cluster that are changed once it is open. */
  readonly config?: Readonly<Record<string, unknown>>;
  readonly logLevel?: 'debug' | 'info';
  /** Program and arguments that `agent --config FILE` is appended to: how the `understudy` command is run on this machine. */
  readonly command: readonly string[];
  readonly onProgress?: (progress: StartProgress) => void;
  readonly onEvent?: (event: ClusterEvent) => void;
}

/** Steps of a start, in order. */
export type StartPhase = 'leftovers' | 'servers' | 'network' | 'store' | 'agents' | 'bootstrap' | 'replicas' | 'ready';

export interface StartProgress {
  readonly phase: StartPhase;
  /** One line for people. */
  readonly text: string;
  /** Share of this phase that is done, 0 to 1; null where nobody can know. */
  readonly fraction: number | null;
  /** What each node does, once agents answer. */
  readonly nodes: readonly { readonly name: string; readonly state: string; readonly text: string }[];
  readonly fetch?: FetchProgress;
}

export type ClusterEvent = SupervisedEvent | { readonly kind: 'notice'; readonly text: string };

/** How to reach one node from this machine. */
export interface NodeAddress {
  readonly name: string;
  readonly host: string;
  readonly dbPort: number;
  readonly apiUrl: string;
  /** Folder of the server's Unix socket: reaches it whatever happens to the network. */
  readonly socketFolder: string;
}
