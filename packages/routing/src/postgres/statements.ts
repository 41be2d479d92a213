import type { Classification, ClassReason, SessionEffect } from '../statement/classification.ts';
import { pinsOfCode } from './function-bodies.ts';
import { constantOf, isSet, kindOf, nodeIn, nodesIn, type PgNode, textIn } from './grammar.ts';
import { doubtOfQuery, type ReadContext } from './reads.ts';
import type { Verdict } from './session-statements.ts';
import * as session from './session-statements.ts';
import { noteState, type StateNotes } from './state.ts';

/** The class of one parsed statement. */
export function classifyStatement(statement: PgNode, context: ReadContext): Classification {
  const found = kindOf(statement);
  const verdict = found === null ? primary('grammar-unknown') : verdictOf(found.kind, found.fields, context);
  const notes: StateNotes = {
    effects: [],
    pins: new Set(verdict.pins ?? []),
    callsUnknown: UNKNOWN_CALLS.has(verdict.reason),
  };
  noteState(statement, context.catalog, context.grammar, notes);
  return {
    node: verdict.node,
    reason: verdict.reason,
    detail: verdict.detail ?? '',
    effects: [...(verdict.effects ?? []), ...notes.effects],
    pins: [...notes.pins],
    transaction: verdict.transaction ?? null,
    settings: {},
    changesSchema: verdict.changesSchema ?? false,
    mayWrite: verdict.mayWrite ?? false,
    knowledge: notes.callsUnknown ? 'calls-unknown' : 'full',
    statements: 1,
  };
}

/** What they run is nowhere in the text, or not in a language that is read here. */
const UNKNOWN_CALLS: ReadonlySet<ClassReason> = new Set(['procedure', 'grammar-unknown', 'too-deep']);

function verdictOf(kind: string, fields: PgNode, context: ReadContext): Verdict {
  const known = KINDS.get(kind);
  if (known !== undefined) return known(fields, context);
  if (UTILITIES.has(kind)) return primary('utility', kind);
  // Everything else that PostgreSQL knows defines something: CREATE, ALTER, DROP, GRANT, COMMENT.
  return { ...primary('schema-change', kind), changesSchema: true, ...definedBy(fields) };
}

const primary = (reason: ClassReason, detail = ''): Verdict => ({ node: 'primary', reason, detail, mayWrite: true });

const UTILITIES = new Set([
  'VacuumStmt',
  'CheckPointStmt',
  'ClusterStmt',
  'AlterSystemStmt',
  'ConstraintsSetStmt',
  'ReindexStmt',
]);

type Rule = (fields: PgNode, context: ReadContext) => Verdict;

const write: Rule = () => primary('write');

const KINDS: ReadonlyMap<string, Rule> = new Map<string, Rule>([
  ['SelectStmt', ofSelect],
  ['InsertStmt', write],
  ['UpdateStmt', write],
  ['DeleteStmt', write],
  ['MergeStmt', write],
  ['TruncateStmt', write],
  ['TransactionStmt', session.ofTransaction],
  ['VariableSetStmt', session.ofSet],
  ['VariableShowStmt', session.ofShow],
  ['DiscardStmt', session.ofDiscard],
  ['ListenStmt', session.ofListen],
  ['UnlistenStmt', session.ofUnlisten],
  ['NotifyStmt', () => primary('notification')],
  ['LockStmt', () => primary('table-lock')],
  ['PrepareStmt', session.ofPrepare],
  ['ExecuteStmt', session.ofExecute],
  ['DeallocateStmt', session.ofDeallocate],
  ['DeclareCursorStmt', ofDeclare],
  ['FetchStmt', session.ofFetch],
  ['ClosePortalStmt', session.ofClose],
  ['CopyStmt', ofCopy],
  ['ExplainStmt', ofExplain],
  ['DoStmt', ofDo],
  ['CallStmt', () => primary('procedure')],
  ['CreateTableAsStmt', ofCreateAs],
  ['LoadStmt', () => ({ ...primary('session-state', 'LOAD'), pins: ['library'] })],
]);

function ofSelect(fields: PgNode, context: ReadContext): Verdict {
  const doubt = doubtOfQuery(fields, context);
  if (doubt === null) return { node: 'any', reason: 'read' };
  const isTemporary = textIn(nodeIn(nodeIn(fields, 'intoClause') ?? {}, 'rel') ?? {}, 'relpersistence') === 't';
  if (doubt.reason !== 'select-into') return { node: 'primary', ...doubt, mayWrite: !ONLY_READS.has(doubt.reason) };
  return { node: 'primary', ...doubt, mayWrite: true, changesSchema: true, ...(isTemporary ? TEMPORARY : {}) };
}

/** Reads that belong to the primary for what they would show elsewhere, and write nothing. */
const ONLY_READS: ReadonlySet<ClassReason> = new Set(['relation-of-node', 'relation-unlogged', 'relation-temporary']);

const TEMPORARY = { effects: [{ kind: 'temporary-table' }], pins: ['temporary-table'] } as const;

const CURSOR_OPT_HOLD = 0x20;

/** A cursor is read where it was opened, so it is a read like its query. One that outlives the transaction holds its connection. */
function ofDeclare(fields: PgNode, context: ReadContext): Verdict {
  const name = textIn(fields, 'portalname');
  const options = typeof fields.options === 'number' ? fields.options : 0;
  const isHeld = (options & CURSOR_OPT_HOLD) !== 0;
  const effects: readonly SessionEffect[] = [{ kind: 'declare', name, isHeld }];
  const inner = ofInner(nodeIn(fields, 'query'), context);
  if (isHeld)
    return { ...primary('cursor', name), effects, pins: ['cursor-with-hold'], mayWrite: inner.mayWrite ?? false };
  return { ...inner, effects: [...effects, ...(inner.effects ?? [])] };
}

function ofInner(query: PgNode | null, context: ReadContext): Verdict {
  const found = query === null ? null : kindOf(query);
  return found === null ? primary('grammar-unknown') : verdictOf(found.kind, found.fields, context);
}

function ofCopy(fields: PgNode, context: ReadContext): Verdict {
  if (textIn(fields, 'filename') !== '' || isSet(fields, 'is_program')) return primary('copy-by-server');
  if (isSet(fields, 'is_from')) return primary('copy-in');
  const query = nodeIn(fields, 'query');
  if (query !== null) return ofInner(query, context);
  const table = nodeIn(fields, 'relation');
  return table === null ? primary('grammar-unknown') : ofSelect({ fromClause: [{ RangeVar: table }] }, context);
}

/** Planning a read calls what it calls too (immutable functions of constants), and running it with ANALYZE does all of it. */
function ofExplain(fields: PgNode, context: ReadContext): Verdict {
  const inner = ofInner(nodeIn(fields, 'query'), context);
  if (inner.node === 'any') return inner;
  const isRun = nodesIn(fields, 'options').some((option) => {
    const element = nodeIn(option, 'DefElem') ?? {};
    const value =
      constantOf(nodeIn(element, 'arg') ?? {}) ?? textIn(nodeIn(nodeIn(element, 'arg') ?? {}, 'String') ?? {}, 'sval');
    return element.defname === 'analyze' && !['0', 'false', 'off'].includes(value.toLowerCase());
  });
  return isRun
    ? { ...inner, node: 'primary', reason: 'explains-write' }
    : { node: 'primary', reason: 'explains-write' };
}

function ofDo(fields: PgNode): Verdict {
  const code = nodesIn(fields, 'args').map((arg) => {
    const element = nodeIn(arg, 'DefElem') ?? {};
    return element.defname === 'as' ? textIn(nodeIn(nodeIn(element, 'arg') ?? {}, 'String') ?? {}, 'sval') : '';
  });
  return { ...primary('procedure', 'DO'), pins: pinsOfCode(code.join(' ')) };
}

function ofCreateAs(fields: PgNode): Verdict {
  const made: Verdict = { ...primary('schema-change', 'CreateTableAsStmt'), changesSchema: true };
  return { ...made, ...persistenceOf(nodeIn(nodeIn(fields, 'into') ?? {}, 'rel')) };
}

/** What a definition says of the relation that it makes. */
const definedBy = (fields: PgNode): Pick<Verdict, 'effects' | 'pins'> =>
  persistenceOf(nodeIn(fields, 'relation') ?? nodeIn(fields, 'sequence') ?? nodeIn(fields, 'view'));

function persistenceOf(relation: PgNode | null): Pick<Verdict, 'effects' | 'pins'> {
  const persistence = textIn(relation ?? {}, 'relpersistence');
  const isTemporary = persistence === 't' || textIn(relation ?? {}, 'schemaname') === 'pg_temp';
  if (isTemporary) return TEMPORARY;
  return persistence === 'u' ? { effects: [{ kind: 'unlogged-table' }] } : {};
}
