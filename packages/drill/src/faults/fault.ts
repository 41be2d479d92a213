import type { LocalCluster, LocalNode } from '@understudy/local';

export interface FaultContext {
  readonly cluster: LocalCluster;
  /** The node that leads when the fault is injected. */
  readonly leader: LocalNode;
  readonly replicas: readonly LocalNode[];
  readonly signal: AbortSignal;
  /** A line for people who watch. */
  readonly say: (text: string) => void;
}

/** A fault that has been injected. */
export interface Injected {
  /** When it began, on the drill's clock. */
  readonly atMs: number;
  /** Undoes it; can be called twice. What needs no undoing does nothing. */
  readonly heal: () => Promise<void>;
}

export interface Fault {
  readonly name: FaultName;
  /** One line for `--help` and for the report. */
  readonly text: string;
  readonly needs: 'nothing' | 'namespaces';
  /** How long it stays, at least, before it is healed; writes must go on meanwhile unless nobody is left to take them. */
  readonly holdMs: number;
  /** `stops`: nobody can take writes before it is healed. */
  readonly writes: 'go-on' | 'stop';
  readonly inject: (context: FaultContext) => Promise<Injected>;
}

export const faultNames = [
  'kill-database',
  'kill-host',
  'partition',
  'partition-one-way',
  'freeze',
  'freeze-agent',
  'kill-agent',
  'kill-guard',
  'kill-replica',
  'kill-all',
  'double',
  'restart',
  'store-down',
  'switchover',
] as const;

export type FaultName = (typeof faultNames)[number];
