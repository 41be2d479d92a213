import { RoutingError } from '../errors.ts';
import type { Classification, Isolation, TransactionMode } from './classification.ts';

/** Where an open transaction runs. `BEGIN` decides nothing: the first statement does, and all others follow it. */
export interface TransactionRoute {
  readonly at: 'undecided' | 'primary' | 'replica';
  readonly isReadOnly: boolean;
  readonly isolation: Isolation;
  /** Savepoints, cursors and the like, which another node does not have. */
  readonly isBound: boolean;
}

export interface TransactionDefaults {
  readonly isReadOnly: boolean;
  readonly isolation: Isolation;
}

export function beginTransaction(mode: TransactionMode, defaults: TransactionDefaults): TransactionRoute {
  return {
    at: 'undecided',
    isReadOnly: mode.isReadOnly ?? defaults.isReadOnly,
    isolation: mode.isolation ?? defaults.isolation,
    isBound: false,
  };
}

/**
 * What the next statement of a transaction needs.
 *
 * - `choose`: the transaction has no node yet; `allowed` says which.
 * - `stay`: it goes where the transaction is.
 * - `move`: the transaction has only read on a replica and begins anew on the primary: at READ COMMITTED each statement has a snapshot of
 *   its own, so nothing of what was read changes.
 * - `refuse`: it would have to move and cannot. Nothing was sent.
 */
export type TransactionStep =
  | { readonly kind: 'choose'; readonly allowed: 'any' | 'primary' }
  | { readonly kind: 'stay' }
  | { readonly kind: 'move' }
  | { readonly kind: 'refuse'; readonly error: RoutingError };

export function transactionStep(route: TransactionRoute, next: Classification): TransactionStep {
  if (route.at === 'primary') return { kind: 'stay' };
  if (route.at === 'undecided') {
    const isHarmless = (next.node === 'any' && next.effects.length === 0) || setsOnly(next);
    return { kind: 'choose', allowed: isHarmless && mayBeOnReplica(route) ? 'any' : 'primary' };
  }
  if (runsOnReplica(next)) return { kind: 'stay' };
  const hasFreshSnapshots = route.isolation === 'read committed' || route.isolation === 'read uncommitted';
  return hasFreshSnapshots && !route.isBound ? { kind: 'move' } : { kind: 'refuse', error: cannotMove(next) };
}

/** The route after `next` was sent to `at`. */
export function afterStatement(
  route: TransactionRoute,
  next: Classification,
  at: 'primary' | 'replica',
): TransactionRoute {
  const mode = next.effects.find((effect) => effect.kind === 'transaction-mode' && effect.scope === 'transaction');
  const binds =
    next.transaction?.kind === 'savepoint' ||
    next.effects.some(({ kind }) => kind === 'declare' || kind === 'prepare' || kind === 'advisory-lock');
  const changed = mode?.kind === 'transaction-mode' ? mode.mode : { isReadOnly: null, isolation: null };
  return {
    at,
    isReadOnly: changed.isReadOnly ?? route.isReadOnly,
    isolation: changed.isolation ?? route.isolation,
    isBound: route.isBound || binds,
  };
}

/** Only what says of itself that it reads: in any other transaction a later statement may write. */
const mayBeOnReplica = ({ isReadOnly, isolation }: TransactionRoute): boolean =>
  isReadOnly && isolation !== 'serializable';

function runsOnReplica(next: Classification): boolean {
  if (next.node === 'any' || next.node === 'none' || next.node === 'router') return true;
  if (next.node === 'transaction') return next.transaction?.kind !== 'prepare';
  return setsOnly(next);
}

/**
 * One SET, RESET or SHOW that every node understands alike. Of several statements in one text only the first reason is told, so there may
 * be anything beside it; what a replica refuses (read-write mode) or knows nothing of (another node's snapshot) needs the primary.
 */
function setsOnly({ reason, statements, pins, detail, effects }: Classification): boolean {
  if (reason !== 'session-state' || statements !== 1 || pins.length > 0 || detail === 'transaction snapshot')
    return false;
  return effects.every((effect) => {
    if (effect.kind === 'transaction-mode')
      return effect.mode.isReadOnly !== false && effect.mode.isolation !== 'serializable';
    return !(effect.kind === 'set' && /^(?:default_)?transaction_/.test(effect.name));
  });
}

const cannotMove = (next: Classification): RoutingError =>
  new RoutingError(
    'TRANSACTION_ON_REPLICA',
    `The transaction reads on a replica from one snapshot; this statement needs the primary (${next.reason}${next.detail === '' ? '' : `: ${next.detail}`}).`,
    {
      retry: 'safe',
      sqlState: '25006',
      nextStep: 'Begin it without READ ONLY, or SET understudy.route = primary before it.',
    },
  );
