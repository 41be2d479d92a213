import type { RouteSettings } from '../levels/settings.ts';

/**
 * Which nodes may run a statement.
 *
 * - `any`: it is a confirmed read.
 * - `primary`: everything else.
 * - `transaction`: it concerns the open transaction and goes where that is; the primary when there is none.
 * - `none`: no server is needed yet (`BEGIN`).
 * - `router`: the router answers itself (`SET understudy.…`, `EXPLAIN ROUTE`).
 */
export type NodeClass = 'any' | 'primary' | 'transaction' | 'none' | 'router';

/** Why a statement has its class, and what that means. */
export const CLASS_REASONS = {
  read: 'It only reads, and everything that it calls is known to only read.',
  empty: 'There is nothing in it.',
  write: 'It changes rows.',
  'schema-change': 'It changes the schema.',
  'row-lock': 'It locks rows.',
  'select-into': 'It makes a table.',
  'function-volatile': 'It calls a function that is declared volatile.',
  'function-unknown': 'It calls a function that the catalogue facts do not have.',
  'function-writes': 'It calls a function that needs a transaction number or changes data.',
  'function-of-session': 'It calls a function that reads or changes the session.',
  'function-of-node': 'It calls a function that answers for the node it runs on.',
  sequence: 'It reads or advances a sequence, which a replica shows ahead of its time.',
  'advisory-lock': 'It takes an advisory lock; a replica would grant one that excludes nobody.',
  'relation-unknown': 'It reads a relation that the catalogue facts do not have.',
  'relation-of-node': 'It reads what the node says of itself.',
  'relation-foreign': 'It reads a foreign table.',
  'relation-unlogged': 'It reads an unlogged table, which replicas do not have.',
  'relation-temporary': 'It reads a temporary table.',
  'view-doubtful': 'It reads a view or policy whose definition is not a confirmed read.',
  'operator-doubtful': 'It uses an operator whose function is not known to only read.',
  'type-doubtful': 'It uses a type whose input or check is not known to only read.',
  'grammar-unknown': 'It has a clause that this version does not know.',
  'not-parsed': 'The grammar does not accept it.',
  'no-grammar': 'The grammar is not available at this moment.',
  'too-long': 'It is too long to be parsed within its turn.',
  'too-deep': 'It is nested too deeply.',
  'lexing-uncertain': 'The session reads text in a way (escapes, encoding) that hides where a literal ends.',
  learned: 'A replica refused a statement of this shape.',
  serializable: 'A replica offers no serializable transactions.',
  'transaction-control': 'It begins, ends or divides a transaction.',
  'session-state': 'It sets or shows the state of the session.',
  cursor: 'It opens, reads or closes a cursor.',
  'prepared-by-name': 'It makes or runs a statement that was prepared by its name.',
  notification: 'It sends or waits for notifications.',
  'table-lock': 'It locks a table.',
  'copy-in': 'It loads data.',
  'copy-by-server': "It reads or writes the server's own files or programs.",
  procedure: 'It runs a procedure or an anonymous block.',
  'explains-write': 'It explains a statement that is no confirmed read.',
  utility: 'It is a command to the server.',
  several: 'It mixes transaction control with other statements in one text.',
  'router-setting': 'It sets how the router treats the session.',
  'explain-route': 'It asks the router for its decision.',
} as const;

export type ClassReason = keyof typeof CLASS_REASONS;

/** Why a session must keep its server connection from a statement on, if that succeeds. */
export const PIN_REASONS = [
  'temporary-table',
  'session-advisory-lock',
  'listen',
  'cursor-with-hold',
  'prepared-by-name',
  'untracked-setting',
  'seed',
  'sequence-value',
  'function-state',
  'library',
] as const;
export type PinReason = (typeof PIN_REASONS)[number];

export type Isolation = 'read uncommitted' | 'read committed' | 'repeatable read' | 'serializable';

/** What a statement does to the state of its session, if it succeeds. In the order of the text. */
export type SessionEffect =
  /** `values`: null for DEFAULT. A local one ends with the transaction. */
  | {
      readonly kind: 'set';
      readonly name: string;
      readonly values: readonly string[] | null;
      readonly isLocal: boolean;
    }
  | { readonly kind: 'reset'; readonly name: string }
  | { readonly kind: 'reset-all' }
  | { readonly kind: 'transaction-mode'; readonly scope: 'transaction' | 'session'; readonly mode: TransactionMode }
  | { readonly kind: 'discard'; readonly what: 'all' | 'plans' | 'sequences' | 'temporary' }
  | { readonly kind: 'temporary-table' }
  | { readonly kind: 'unlogged-table' }
  | { readonly kind: 'listen'; readonly channel: string }
  | { readonly kind: 'unlisten'; readonly channel: string | null }
  | { readonly kind: 'prepare'; readonly name: string }
  | { readonly kind: 'execute'; readonly name: string }
  | { readonly kind: 'deallocate'; readonly name: string | null }
  | { readonly kind: 'declare'; readonly name: string; readonly isHeld: boolean }
  | { readonly kind: 'close'; readonly name: string | null }
  | { readonly kind: 'advisory-lock'; readonly scope: 'session' | 'transaction' }
  | { readonly kind: 'advisory-unlock'; readonly isAll: boolean }
  /** `currval` and `lastval` of this session have another answer from here on. */
  | { readonly kind: 'sequence' }
  /** `understudy.…` */
  | { readonly kind: 'router-setting'; readonly name: string; readonly value: string; readonly isLocal: boolean };

export interface TransactionMode {
  /** Null: not said. */
  readonly isReadOnly: boolean | null;
  readonly isolation: Isolation | null;
}

export type TransactionEffect =
  | { readonly kind: 'begin'; readonly mode: TransactionMode }
  | { readonly kind: 'commit'; readonly isChained: boolean }
  | { readonly kind: 'rollback'; readonly isChained: boolean }
  | { readonly kind: 'savepoint' | 'release' | 'rollback-to'; readonly name: string }
  | { readonly kind: 'prepare' | 'commit-prepared' | 'rollback-prepared'; readonly gid: string }
  /** More than one of them in one text. */
  | { readonly kind: 'several' };

/**
 * How much of a text is known, worst last: all of it; all but what a function or block in it does; nothing. What is not known may have
 * changed the session.
 */
export const KNOWLEDGE = ['full', 'calls-unknown', 'none'] as const;
export type Knowledge = (typeof KNOWLEDGE)[number];

/** What is known of a text before anything is sent. */
export interface Classification {
  readonly node: NodeClass;
  readonly reason: ClassReason;
  /** The function, relation or clause that decided; empty when there is none. */
  readonly detail: string;
  readonly effects: readonly SessionEffect[];
  readonly pins: readonly PinReason[];
  readonly transaction: TransactionEffect | null;
  /** Hints in its comments. */
  readonly settings: RouteSettings;
  /** Facts about functions and relations, and what was learned, are to be read again after it. */
  readonly changesSchema: boolean;
  /** False only when it certainly changes no data: the failover table asks. */
  readonly mayWrite: boolean;
  readonly knowledge: Knowledge;
  readonly statements: number;
}

export const EMPTY_STATEMENT: Classification = {
  node: 'any',
  reason: 'empty',
  detail: '',
  effects: [],
  pins: [],
  transaction: null,
  settings: {},
  changesSchema: false,
  mayWrite: false,
  knowledge: 'full',
  statements: 0,
};

const ORDER: readonly NodeClass[] = ['none', 'any', 'transaction', 'primary'];

/**
 * The class of statements that go together: one text, or one group up to Sync. Whatever one of them needs, all get; a transaction that
 * begins or ends among others goes to the primary.
 */
export function mergeClassifications(list: readonly Classification[]): Classification {
  const [first, ...rest] = list;
  return first === undefined ? EMPTY_STATEMENT : rest.reduce(merge, first);
}

function merge(a: Classification, b: Classification): Classification {
  if (a.statements === 0 && a.reason === 'empty') return withSettingsOf(b, a);
  if (b.statements === 0 && b.reason === 'empty') return withSettingsOf(a, b);
  const decides = demand(b) > demand(a) ? b : a;
  const isMixed = a.transaction !== null || b.transaction !== null || a.node === 'router' || b.node === 'router';
  const transaction =
    a.transaction !== null && b.transaction !== null ? { kind: 'several' as const } : (a.transaction ?? b.transaction);
  const verdict = isMixed
    ? ({ node: 'primary', reason: 'several', detail: '' } as const)
    : { node: decides.node, reason: decides.reason, detail: decides.detail };
  return {
    ...verdict,
    effects: [...a.effects, ...b.effects],
    pins: [...new Set([...a.pins, ...b.pins])],
    transaction,
    settings: joinSettings(a.settings, b.settings),
    changesSchema: a.changesSchema || b.changesSchema,
    mayWrite: a.mayWrite || b.mayWrite,
    knowledge: KNOWLEDGE.indexOf(a.knowledge) > KNOWLEDGE.indexOf(b.knowledge) ? a.knowledge : b.knowledge,
    statements: a.statements + b.statements,
  };
}

const demand = ({ node }: Classification): number => ORDER.indexOf(node);

const withSettingsOf = (kept: Classification, other: Classification): Classification => ({
  ...kept,
  settings: joinSettings(other.settings, kept.settings),
});

export function joinSettings(a: RouteSettings, b: RouteSettings): RouteSettings {
  const tokens = [...(a.tokens ?? []), ...(b.tokens ?? [])];
  return { ...a, ...b, ...(tokens.length > 0 ? { tokens } : {}) };
}
