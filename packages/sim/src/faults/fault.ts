import type { ClusterConfig, Command, MemberTags } from '@understudy/core';
import type { PostgresMeddling } from './meddle-postgres.ts';
import type { Target } from './target.ts';

export type { Target };

/** What can go wrong, when, and for how long; times in true milliseconds. Everything is explicit, so that a list of faults can be shrunk. */
export type Fault = { readonly at: number } & FaultAction;

export type FaultAction =
  | { readonly kind: 'kill-database'; readonly node: Target }
  | { readonly kind: 'kill-agent'; readonly node: Target }
  | { readonly kind: 'kill-guard'; readonly node: Target }
  /** SIGTERM to the agent: it hands over, its server stops in order, both are started again later. */
  | { readonly kind: 'stop-agent'; readonly node: Target; readonly forMs: number }
  | { readonly kind: 'kill-host'; readonly node: Target; readonly forMs: number }
  | { readonly kind: 'freeze-agent'; readonly node: Target; readonly forMs: number }
  | { readonly kind: 'freeze-guard'; readonly node: Target; readonly forMs: number }
  | { readonly kind: 'freeze-database'; readonly node: Target; readonly forMs: number }
  | { readonly kind: 'freeze-host'; readonly node: Target; readonly forMs: number }
  | { readonly kind: 'hang-database'; readonly node: Target; readonly forMs: number }
  /** The host loses every link: to the others, to the store, to the clients (or keeps the clients). */
  | { readonly kind: 'isolate'; readonly node: Target; readonly forMs: number; readonly clients: 'cut' | 'kept' }
  /** Only one direction of one link between two hosts. */
  | { readonly kind: 'cut-one-way'; readonly node: Target; readonly other: number; readonly forMs: number }
  /** Both directions between two hosts; everything else works. */
  | { readonly kind: 'cut-pair'; readonly node: Target; readonly other: number; readonly forMs: number }
  | {
      readonly kind: 'cut-store';
      readonly node: Target;
      readonly forMs: number;
      readonly direction: 'both' | 'to' | 'from';
    }
  | { readonly kind: 'cut-clients'; readonly node: Target; readonly forMs: number }
  | { readonly kind: 'store-down'; readonly forMs: number; readonly leases: 'extended' | 'counted' }
  | {
      readonly kind: 'store-lossy';
      readonly forMs: number;
      readonly loseRequest: number;
      readonly loseReply: number;
      readonly loseWatch: number;
      readonly extraMs: number;
    }
  /** Somebody puts the store back to what it was `agoMs` ago; the whole site may lose its power in that moment. An operator restores it in the end. */
  | {
      readonly kind: 'store-put-back';
      readonly agoMs: number | 'all';
      readonly hosts: 'stay' | 'lose-power';
      readonly forMs: number;
    }
  | { readonly kind: 'clock-step'; readonly node: Target; readonly byMs: number }
  | { readonly kind: 'disk-full'; readonly node: Target; readonly forMs: number }
  | { readonly kind: 'slow-disk'; readonly node: Target; readonly forMs: number; readonly extraMs: number }
  | { readonly kind: 'slow-reload'; readonly node: Target; readonly forMs: number; readonly extraMs: number }
  | { readonly kind: 'wal-removed'; readonly node: Target }
  | {
      readonly kind: 'switchover';
      readonly to: Target | null;
      readonly timeoutMs: number;
      /** By the wall clock of the leader's host, from now; null: at once. */
      readonly scheduledInMs: number | null;
    }
  | { readonly kind: 'failover'; readonly to: Target; readonly proof: 'quorum' | 'override' }
  | { readonly kind: 'reinit'; readonly node: Target }
  | { readonly kind: 'restart'; readonly node: Target }
  | { readonly kind: 'pause'; readonly forMs: number }
  | { readonly kind: 'config'; readonly change: Partial<ClusterConfig> }
  | { readonly kind: 'tags'; readonly node: Target; readonly change: Partial<MemberTags> }
  | Meddling
  /** Somebody else than its agent shuts the server down. Only in a course. */
  | { readonly kind: 'terminate-database'; readonly node: Target }
  /** MySQL, MariaDB: somebody's replica connects and acknowledges. Only in a course. */
  | { readonly kind: 'stranger'; readonly node: Target }
  | PostgresMeddling
  /** Strikes when somebody is about to carry out, or has just carried out, a command of this kind. */
  | {
      readonly kind: 'at-command';
      readonly command: Command['kind'];
      /** Only a commit with this purpose; null: any. */
      readonly purpose: string | null;
      /** `during`: it was sent, its outcome is not known yet. */
      readonly moment: 'before' | 'during' | 'after';
      /** Who is struck: the one that carries out the command, or another. */
      readonly victim: 'self' | 'leader' | 'follower';
      readonly strike:
        | 'crash-agent'
        | 'freeze-agent'
        | 'kill-host'
        | 'kill-database'
        | 'isolate'
        | 'isolate-and-crash-agent'
        | 'freeze-host';
      readonly forMs: number;
    };

/**
 * What somebody does to a server of MySQL or MariaDB behind its agent's back. `close`: read_only is switched on, which keeps ordinary clients
 * out only. `receive`: a receiver is started by hand, as an acknowledger, from the server that it followed last. `count`: a replica is told
 * to wait for acknowledgements.
 */
export interface Meddling {
  readonly kind: 'meddle';
  readonly node: Target;
  readonly how: 'close' | 'receive' | 'count';
}

export type FaultKind = FaultAction['kind'];

/** Every kind of fault there is. */
export const FAULT_KINDS: readonly FaultKind[] = [
  'kill-database',
  'kill-agent',
  'kill-guard',
  'stop-agent',
  'kill-host',
  'freeze-agent',
  'freeze-guard',
  'freeze-database',
  'freeze-host',
  'hang-database',
  'isolate',
  'cut-one-way',
  'cut-pair',
  'cut-store',
  'cut-clients',
  'store-down',
  'store-lossy',
  'store-put-back',
  'clock-step',
  'disk-full',
  'slow-disk',
  'slow-reload',
  'wal-removed',
  'switchover',
  'failover',
  'reinit',
  'restart',
  'pause',
  'config',
  'tags',
  'at-command',
  'meddle',
  'meddle-postgres',
];

export function describeFault(fault: Fault): string {
  const { at: _at, kind, ...rest } = fault;
  const details = Object.entries(rest)
    .map(([name, value]) => `${name} ${describeValue(value)}`)
    .join(', ');
  return details === '' ? kind : `${kind} (${details})`;
}

function describeValue(value: unknown): string {
  if (typeof value === 'number' && !Number.isInteger(value)) return value.toFixed(2);
  return typeof value === 'object' ? JSON.stringify(value) : String(value);
}
