/** What supervisor and workers tell each other. A client's connection travels beside a message. */

import type { WorkerConfig } from '../config/config.ts';
import type { ClusterView, Wanted } from '../topology/view.ts';

export type ToWorker =
  | { readonly kind: 'start'; readonly config: WorkerConfig; readonly view: ClusterView }
  | { readonly kind: 'view'; readonly view: ClusterView }
  /** With the handle of the connection. */
  | { readonly kind: 'client'; readonly wanted: Wanted }
  | { readonly kind: 'cancel'; readonly processId: number; readonly secretHex: string }
  | { readonly kind: 'report'; readonly id: number }
  /** Everybody's reports, for a console that asked. */
  | { readonly kind: 'reports'; readonly id: number; readonly reports: readonly WorkerReport[] }
  | { readonly kind: 'stop' };

export type FromWorker =
  | { readonly kind: 'ready' }
  /** It cannot start. */
  | { readonly kind: 'failed'; readonly text: string }
  /** How many clients it has. */
  | { readonly kind: 'load'; readonly clients: number }
  /** A request to cancel that belongs to another worker. */
  | { readonly kind: 'cancel'; readonly processId: number; readonly secretHex: string }
  | { readonly kind: 'report'; readonly id: number; readonly report: WorkerReport }
  | { readonly kind: 'reports'; readonly id: number }
  /** A connection to a server was lost: look at once. */
  | { readonly kind: 'trouble' };

export interface PoolReport {
  readonly user: string;
  readonly database: string;
  readonly clientsActive: number;
  readonly clientsWaiting: number;
  readonly clientsIdle: number;
  readonly serversActive: number;
  readonly serversIdle: number;
  readonly serversOpening: number;
}

export interface WorkerReport {
  readonly pools: readonly PoolReport[];
  readonly clients: readonly ClientReport[];
  readonly servers: readonly ServerReport[];
  readonly counts: Counts;
}

export interface ClientReport {
  readonly user: string;
  readonly database: string;
  readonly state: string;
  readonly processId: number;
  /** Why it keeps its server connection; empty when it does not. */
  readonly pins: readonly string[];
  /** Node that serves it now; null: none. */
  readonly member: string | null;
}

export interface ServerReport {
  readonly user: string;
  readonly database: string;
  readonly member: string;
  readonly address: string;
  readonly state: string;
  readonly processId: number;
}

/** Since the start of the worker. */
export interface Counts {
  readonly logins: number;
  readonly refusedLogins: number;
  readonly requests: number;
  readonly cancels: number;
  /** Statements that were asked again after their server was lost. */
  readonly replayed: number;
  /** Errors that clients got because their server was lost, by SQLSTATE. */
  readonly lost: Readonly<Record<string, number>>;
}
