import type { LocalCluster, LocalNode } from '@understudy/local';
import type { Disks } from '../run/disks.ts';

export interface FaultContext {
  readonly cluster: LocalCluster;
  /** The node that leads when the fault is injected. */
  readonly leader: LocalNode;
  readonly replicas: readonly LocalNode[];
  /** Of a cluster whose nodes have disks of their own. */
  readonly disks: Disks | null;
  readonly signal: AbortSignal;
  /** A line for people who watch. */
  readonly say: (text: string) => void;
  /** Waits until writes have been acknowledged steadily for a second since an instant. */
  readonly writesFlow: (sinceMs: number) => Promise<'flowing' | 'blocked'>;
}

/** A time in which no acknowledger was there, so that nothing that began in it can have been acknowledged. Of the drill's clock. */
export interface Silence {
  readonly fromMs: number;
  readonly toMs: number;
}

/** A fault that has been injected. */
export interface Injected {
  /** When it began, on the drill's clock. */
  readonly atMs: number;
  /** Undoes it; can be called twice. What needs no undoing does nothing. */
  readonly heal: () => Promise<void>;
  /** When nobody was there to acknowledge; asked after {@link heal}. Null: somebody always was, or nobody had to. */
  readonly silence?: () => Silence | null;
}

export interface Fault {
  readonly name: FaultName;
  /** One line for `--help` and for the report. */
  readonly text: string;
  readonly needs: 'nothing' | 'namespaces' | 'disks';
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
  'half-open-link',
  'slow-link',
  'zombie-primary',
  'slow-disk',
  'stalled-disk',
  'freeze',
  'freeze-agent',
  'kill-agent',
  'kill-guard',
  'kill-replica',
  'kill-all',
  'double',
  'restart',
  'restart-primary-in-place',
  'semi-sync-replica-loss',
  'replica-relay-corrupt',
  'store-down',
  'kill-host-and-store',
  'flood',
  'flood-database',
  'switchover',
] as const;

export type FaultName = (typeof faultNames)[number];
