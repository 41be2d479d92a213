import { isRouteSetting } from '../levels/read-settings.ts';
import type {
  ClassReason,
  Isolation,
  NodeClass,
  PinReason,
  SessionEffect,
  TransactionEffect,
  TransactionMode,
} from '../statement/classification.ts';
import { constantOf, isSet, nodeIn, nodesIn, type PgNode, textIn } from './grammar.ts';

/** What the statement itself says, before functions in it are looked at. */
export interface Verdict {
  readonly node: NodeClass;
  readonly reason: ClassReason;
  readonly detail?: string;
  readonly effects?: readonly SessionEffect[];
  readonly pins?: readonly PinReason[];
  readonly transaction?: TransactionEffect;
  readonly changesSchema?: boolean;
  readonly mayWrite?: boolean;
}

/** BEGIN, COMMIT, SAVEPOINT and the like. */
export function ofTransaction(fields: PgNode): Verdict {
  const kind = textIn(fields, 'kind').replace('TRANS_STMT_', '');
  const name = textIn(fields, 'savepoint_name');
  const gid = textIn(fields, 'gid');
  const isChained = isSet(fields, 'chain');
  const inTransaction = (transaction: TransactionEffect): Verdict => ({
    node: 'transaction',
    reason: 'transaction-control',
    transaction,
  });
  switch (kind) {
    case 'BEGIN':
    case 'START': {
      const mode = modeOf(nodesIn(fields, 'options'));
      return { node: 'none', reason: 'transaction-control', transaction: { kind: 'begin', mode } };
    }
    case 'COMMIT':
      return { ...inTransaction({ kind: 'commit', isChained }), mayWrite: true };
    case 'ROLLBACK':
      return inTransaction({ kind: 'rollback', isChained });
    case 'SAVEPOINT':
      return inTransaction({ kind: 'savepoint', name });
    case 'RELEASE':
      return inTransaction({ kind: 'release', name });
    case 'ROLLBACK_TO':
      return inTransaction({ kind: 'rollback-to', name });
    case 'PREPARE':
      return { ...inTransaction({ kind: 'prepare', gid }), mayWrite: true };
    case 'COMMIT_PREPARED':
      return { ...inTransaction({ kind: 'commit-prepared', gid }), node: 'primary', mayWrite: true };
    case 'ROLLBACK_PREPARED':
      return { ...inTransaction({ kind: 'rollback-prepared', gid }), node: 'primary', mayWrite: true };
    default:
      return { node: 'primary', reason: 'grammar-unknown', detail: kind, mayWrite: true };
  }
}

const ISOLATIONS: readonly Isolation[] = ['read uncommitted', 'read committed', 'repeatable read', 'serializable'];

function modeOf(options: readonly PgNode[]): TransactionMode {
  let isReadOnly: boolean | null = null;
  let isolation: Isolation | null = null;
  for (const option of options) {
    const element = nodeIn(option, 'DefElem') ?? {};
    const value = constantOf(nodeIn(element, 'arg') ?? {});
    if (element.defname === 'transaction_read_only') isReadOnly = value === '1';
    if (element.defname === 'transaction_isolation') isolation = ISOLATIONS.find((each) => each === value) ?? isolation;
  }
  return { isReadOnly, isolation };
}

/** SET, RESET, SET TRANSACTION. */
export function ofSet(fields: PgNode): Verdict {
  const kind = textIn(fields, 'kind');
  const name = textIn(fields, 'name').toLowerCase();
  const isLocal = isSet(fields, 'is_local');
  const set = (effect: SessionEffect): Verdict => ({
    node: 'primary',
    reason: 'session-state',
    detail: name,
    effects: [effect],
  });
  switch (kind) {
    case 'VAR_SET_VALUE':
    case 'VAR_SET_DEFAULT': {
      const values = kind === 'VAR_SET_DEFAULT' ? null : nodesIn(fields, 'args').map(constantOf);
      const isConstant = values === null || values.every((value) => value !== null);
      if (isRouteSetting(name) && isConstant) return ofRouteSetting(name, values?.join(',') ?? '', isLocal);
      if (!isConstant) return untracked(name, isLocal);
      return set({
        kind: 'set',
        name,
        values: values === null ? null : values.filter((value) => value !== null),
        isLocal,
      });
    }
    case 'VAR_RESET':
      return isRouteSetting(name) ? ofRouteSetting(name, '', false) : set({ kind: 'reset', name });
    case 'VAR_RESET_ALL':
      return set({ kind: 'reset-all' });
    case 'VAR_SET_MULTI':
      return ofMode(name, fields);
    default:
      return untracked(name, isLocal);
  }
}

function ofRouteSetting(name: string, value: string, isLocal: boolean): Verdict {
  const effect: SessionEffect = { kind: 'router-setting', name, value, isLocal };
  return { node: 'router', reason: 'router-setting', detail: name, effects: [effect] };
}

/** A value that is computed (`SET TIME ZONE INTERVAL …`, `FROM CURRENT`): the session keeps its server. */
const untracked = (name: string, isLocal: boolean): Verdict => ({
  node: 'primary',
  reason: 'session-state',
  detail: name,
  ...(isLocal ? {} : { pins: ['untracked-setting'] as const }),
});

function ofMode(name: string, fields: PgNode): Verdict {
  if (name === 'transaction snapshot') return { node: 'primary', reason: 'session-state', detail: name };
  const scope = name === 'transaction' ? 'transaction' : 'session';
  const effect: SessionEffect = { kind: 'transaction-mode', scope, mode: modeOf(nodesIn(fields, 'args')) };
  return { node: 'primary', reason: 'session-state', detail: name, effects: [effect] };
}

export function ofShow(fields: PgNode): Verdict {
  const name = textIn(fields, 'name').toLowerCase();
  return isRouteSetting(name)
    ? { node: 'router', reason: 'router-setting', detail: name }
    : { node: 'primary', reason: 'session-state', detail: name };
}

export function ofDiscard(fields: PgNode): Verdict {
  const target = textIn(fields, 'target');
  const what =
    target === 'DISCARD_PLANS'
      ? 'plans'
      : target === 'DISCARD_SEQUENCES'
        ? 'sequences'
        : target === 'DISCARD_TEMP'
          ? 'temporary'
          : 'all';
  return { node: 'primary', reason: 'session-state', effects: [{ kind: 'discard', what }] };
}

export function ofListen(fields: PgNode): Verdict {
  const effect: SessionEffect = { kind: 'listen', channel: textIn(fields, 'conditionname') };
  return { node: 'primary', reason: 'notification', effects: [effect], pins: ['listen'] };
}

export function ofUnlisten(fields: PgNode): Verdict {
  const channel = textIn(fields, 'conditionname') || null;
  return { node: 'primary', reason: 'notification', effects: [{ kind: 'unlisten', channel }] };
}

export function ofPrepare(fields: PgNode): Verdict {
  const effect: SessionEffect = { kind: 'prepare', name: textIn(fields, 'name') };
  return { node: 'primary', reason: 'prepared-by-name', effects: [effect], pins: ['prepared-by-name'] };
}

/** What was prepared under the name decides, and only the router knows that. */
export function ofExecute(fields: PgNode): Verdict {
  const name = textIn(fields, 'name');
  return {
    node: 'primary',
    reason: 'prepared-by-name',
    detail: name,
    effects: [{ kind: 'execute', name }],
    mayWrite: true,
  };
}

export function ofDeallocate(fields: PgNode): Verdict {
  const name = isSet(fields, 'isall') ? null : textIn(fields, 'name');
  return { node: 'primary', reason: 'prepared-by-name', effects: [{ kind: 'deallocate', name }] };
}

/** FETCH, MOVE and CLOSE go where the cursor is. */
export function ofFetch(fields: PgNode): Verdict {
  return { node: 'transaction', reason: 'cursor', detail: textIn(fields, 'portalname') };
}

export function ofClose(fields: PgNode): Verdict {
  const name = textIn(fields, 'portalname') || null;
  return { node: 'transaction', reason: 'cursor', effects: [{ kind: 'close', name }] };
}
