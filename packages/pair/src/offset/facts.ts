import type { LogFile, LogPosition } from './position.ts';

/** One thread of a replica, as it says itself. */
export interface ReplicaThread {
  readonly state: 'running' | 'connecting' | 'stopped';
  readonly error: { readonly number: number; readonly text: string } | null;
}

/** How a server receives from another by file and offset. */
export interface ReplicaFacts {
  readonly sourceHost: string;
  readonly sourcePort: number;
  readonly receiver: ReplicaThread;
  readonly applier: ReplicaThread;
  /** Where in the source's log it has received to, and executed to. */
  readonly received: LogPosition | null;
  readonly executed: LogPosition | null;
  /** As the server estimates it; null when it does not. */
  readonly behindS: number | null;
  readonly usesGtids: 'yes' | 'no';
  readonly filters: readonly string[];
}

/** Everything that the checks want to know of a server. */
export interface ServerFacts {
  readonly name: string;
  readonly host: string;
  readonly port: number;
  readonly flavour: 'mysql' | 'mariadb';
  readonly version: string;
  readonly serverId: number;
  readonly uuid: string | null;
  /** MySQL: `OFF`, `ON`, …; MariaDB has no such mode. */
  readonly gtidMode: string | null;
  readonly logBin: 'on' | 'off';
  readonly binlogFormat: string;
  readonly rowImage: string;
  readonly logsUpdates: 'yes' | 'no';
  readonly writes: 'open' | 'closed';
  readonly logFilters: readonly string[];
  /** Tables that are not InnoDB, of applications: the first few. */
  readonly otherEngines: readonly string[];
  readonly schemas: readonly string[];
  /** Null: the binary log is off. */
  readonly end: LogPosition | null;
  readonly files: readonly LogFile[];
  /** How many replicas are connected. */
  readonly dumps: number;
  readonly replica: ReplicaFacts | null;
}

/** Something that forbids what was asked for, or should be known. */
export interface Finding {
  readonly server: string;
  readonly weight: 'refuse' | 'warn';
  readonly text: string;
  readonly fix: string;
}
