import type { ClassReason } from '../statement/classification.ts';
import type { PgCatalog, RelationFact } from './catalog.ts';
import { builtinRule, isNodeRelation } from './functions.ts';
import {
  isKindName,
  isNode,
  isSet,
  literalOf,
  nameIn,
  nodeIn,
  nodesIn,
  type PgGrammar,
  type PgNode,
  textIn,
} from './grammar.ts';

/** Why a query is no confirmed read. */
export interface Doubt {
  readonly reason: ClassReason;
  readonly detail: string;
}

/** What a walk through a query needs to know and leaves behind. */
export interface ReadContext {
  readonly grammar: PgGrammar;
  readonly catalog: PgCatalog;
  /** Names of common table expressions, anywhere in the statement. */
  readonly commonTables: Set<string>;
  /** Whether the verdict hangs on a literal, so that it is not that of the shape. */
  hangsOnLiteral: boolean;
  /** How many views are being looked into. */
  views: number;
}

const DEPTH_MAX = 400;
const VIEWS_MAX = 16;

/**
 * Kinds of nodes that a read may consist of; those with a rule of their own are in `rules`. The list is closed: a clause that a newer
 * grammar adds is in doubt until somebody has thought about it.
 */
const PLAIN_KINDS = new Set(
  `ResTarget TypeCast A_Star String Integer Float Boolean BitString A_Const BoolExpr NullTest BooleanTest NamedArgExpr CollateClause
  A_Indices A_ArrayExpr CaseExpr CaseWhen CoalesceExpr MinMaxExpr RowExpr ParamRef SQLValueFunction XmlExpr XmlSerialize
  GroupingFunc GroupingSet WindowDef RangeSubselect RangeFunction RangeTableFunc RangeTableFuncCol JoinExpr Alias List TypeName ColumnDef
  JsonFuncExpr JsonObjectConstructor JsonArrayConstructor JsonArrayQueryConstructor JsonObjectAgg JsonArrayAgg JsonAggConstructor
  JsonKeyValue JsonValueExpr JsonFormat JsonReturning JsonOutput JsonIsPredicate JsonParseExpr JsonScalarExpr JsonSerializeExpr
  JsonBehavior JsonTable JsonTableColumn JsonTablePathSpec JsonArgument CTESearchClause CTECycleClause CommonTableExpr`.split(
    /\s+/,
  ),
);

/** Fields that hold a node without naming its kind, within a read. */
const PLAIN_FIELDS = new Set(
  `withClause over alias value format output returning pathspec context_item on_empty on_error search_clause cycle_clause constructor collClause
  sval ival fval boolval bsval name`.split(/\s+/),
);

/** Finds a reason why `query` (the fields of a SelectStmt) is no confirmed read; null when there is none. */
export function doubtOfQuery(query: PgNode, context: ReadContext): Doubt | null {
  noteCommonTables(query, context.commonTables);
  return doubtOfSelect(query, context, 0);
}

function doubtOfSelect(select: PgNode, context: ReadContext, depth: number): Doubt | null {
  if (select.intoClause !== undefined) return { reason: 'select-into', detail: '' };
  if (select.lockingClause !== undefined) return { reason: 'row-lock', detail: '' };
  return doubtOfFields(select, context, depth, 'SelectStmt');
}

function doubtOfFields(fields: PgNode, context: ReadContext, depth: number, kind: string): Doubt | null {
  if (depth > DEPTH_MAX) return { reason: 'too-deep', detail: '' };
  for (const [field, value] of Object.entries(fields)) {
    const doubt = Array.isArray(value)
      ? doubtOfList(value, context, depth + 1)
      : isNode(value)
        ? doubtOfField(field, value, context, depth + 1, kind)
        : null;
    if (doubt !== null) return doubt;
  }
  return null;
}

function doubtOfList(list: readonly unknown[], context: ReadContext, depth: number): Doubt | null {
  for (const each of list) {
    const doubt = isNode(each) ? doubtOfNode(each, context, depth) : null;
    if (doubt !== null) return doubt;
  }
  return null;
}

/** A node as a field's value: of a kind that it names, or of one that its field implies. */
function doubtOfField(field: string, value: PgNode, context: ReadContext, depth: number, kind: string): Doubt | null {
  const isNamed = Object.keys(value).every(isKindName);
  if (isNamed) return doubtOfNode(value, context, depth);
  if (kind === 'SelectStmt' && (field === 'larg' || field === 'rarg')) return doubtOfSelect(value, context, depth);
  if (field === 'typeName') return doubtOfType(value, context, depth);
  return PLAIN_FIELDS.has(field)
    ? doubtOfFields(value, context, depth, field)
    : { reason: 'grammar-unknown', detail: `${kind}.${field}` };
}

function doubtOfNode(node: PgNode, context: ReadContext, depth: number): Doubt | null {
  if (depth > DEPTH_MAX) return { reason: 'too-deep', detail: '' };
  for (const [kind, fields] of Object.entries(node)) {
    if (!isNode(fields)) return { reason: 'grammar-unknown', detail: kind };
    const rule = rules.get(kind);
    if (rule === undefined && !PLAIN_KINDS.has(kind)) return ofUnknownKind(kind);
    const doubt =
      rule?.(fields, context, depth) ?? (kind === 'SelectStmt' ? null : doubtOfFields(fields, context, depth, kind));
    if (doubt !== null) return doubt;
  }
  return null;
}

/** Within a query only a common table expression can hold a statement that writes. */
function ofUnknownKind(kind: string): Doubt {
  const isWrite = ['InsertStmt', 'UpdateStmt', 'DeleteStmt', 'MergeStmt'].includes(kind);
  return isWrite ? { reason: 'write', detail: '' } : { reason: 'grammar-unknown', detail: kind };
}

type Rule = (fields: PgNode, context: ReadContext, depth: number) => Doubt | null;

/** What each of these asks beyond its parts, which are looked at as well. */
const rules: ReadonlyMap<string, Rule> = new Map<string, Rule>([
  ['SelectStmt', doubtOfSelect],
  ['RangeVar', (fields, context) => doubtOfRelation(nameOfRelation(fields), context)],
  ['FuncCall', (fields, context) => doubtOfCall(nameIn(fields, 'funcname'), nodesIn(fields, 'args'), context)],
  ['A_Expr', (fields, context) => doubtOfOperator(nameIn(fields, 'name'), context)],
  ['SubLink', (fields, context) => doubtOfOperator(nameIn(fields, 'operName'), context)],
  ['SortBy', (fields, context) => doubtOfOperator(nameIn(fields, 'useOp'), context)],
  ['ColumnRef', (fields, context) => doubtOfAttribute(nodesIn(fields, 'fields').slice(1), context)],
  ['A_Indirection', (fields, context) => doubtOfAttribute(nodesIn(fields, 'indirection'), context)],
  ['TypeName', (fields, context, depth) => doubtOfType(fields, context, depth)],
  ['RangeTableSample', (fields) => doubtOfSample(nameIn(fields, 'method'))],
]);

/** `a BETWEEN …` and the like stand for these. */
const OPERATORS_BEHIND: Readonly<Record<string, readonly string[]>> = {
  BETWEEN: ['>=', '<='],
  'NOT BETWEEN': ['<', '>'],
  'BETWEEN SYMMETRIC': ['>=', '<='],
  'NOT BETWEEN SYMMETRIC': ['<', '>'],
};

function doubtOfOperator(parts: readonly string[], { catalog }: ReadContext): Doubt | null {
  const name = parts.at(-1);
  if (name === undefined) return null;
  const bad = (OPERATORS_BEHIND[name] ?? [name]).find((each) => catalog.operator(each) !== 'safe');
  return bad === undefined ? null : { reason: 'operator-doubtful', detail: bad };
}

function doubtOfType(fields: PgNode, context: ReadContext, depth: number): Doubt | null {
  const parts = nameIn(fields, 'names');
  const name = parts.at(-1) ?? '';
  // `%TYPE` names a column, not a type.
  if (isSet(fields, 'pct_type')) return { reason: 'type-doubtful', detail: name };
  if (parts.length > 0 && context.catalog.type(name) !== 'safe') return { reason: 'type-doubtful', detail: name };
  return doubtOfFields(fields, context, depth, 'TypeName');
}

const doubtOfSample = (method: readonly string[]): Doubt | null => {
  const name = method.at(-1) ?? '';
  return name === 'system' || name === 'bernoulli' ? null : { reason: 'function-unknown', detail: name };
};

interface Name {
  readonly schema: string | null;
  readonly name: string;
}

const nameOfRelation = (fields: PgNode): Name => ({
  schema: textIn(fields, 'schemaname') || null,
  name: textIn(fields, 'relname'),
});

function doubtOfRelation({ schema, name }: Name, context: ReadContext): Doubt | null {
  if (schema?.startsWith('pg_temp') === true) return { reason: 'relation-temporary', detail: name };
  const facts = context.catalog.relations(name, schema);
  if (facts.length === 0) {
    const isCommonTable = schema === null && context.commonTables.has(name);
    return isCommonTable ? null : { reason: 'relation-unknown', detail: name };
  }
  for (const fact of facts) {
    const doubt = doubtOfFact(fact, context);
    if (doubt !== null) return doubt;
  }
  return null;
}

function doubtOfFact(fact: RelationFact, context: ReadContext): Doubt | null {
  const detail = fact.name;
  if (fact.persistence === 'temporary') return { reason: 'relation-temporary', detail };
  if (fact.persistence === 'unlogged') return { reason: 'relation-unlogged', detail };
  if (fact.kind === 'foreign-table') return { reason: 'relation-foreign', detail };
  if (fact.kind === 'sequence') return { reason: 'sequence', detail };
  if (fact.kind === 'other') return { reason: 'relation-unknown', detail };
  if (fact.schema === 'pg_catalog') return isNodeRelation(detail) ? { reason: 'relation-of-node', detail } : null;
  if (fact.definitions === null) return { reason: 'view-doubtful', detail };
  return fact.definitions.some((text) => !isConfirmed(text, context)) ? { reason: 'view-doubtful', detail } : null;
}

/** Whether a view's definition or a policy is a confirmed read. Names in it are not those of the statement around. */
function isConfirmed(text: string, context: ReadContext): boolean {
  if (context.views >= VIEWS_MAX) return false;
  const parsed = context.grammar.parse(text);
  const [statement, ...more] = parsed.kind === 'tree' ? parsed.statements : [];
  const query = statement === undefined ? null : nodeIn(statement, 'SelectStmt');
  if (query === null || more.length > 0) return false;
  const inner: ReadContext = { ...context, commonTables: new Set(), views: context.views + 1 };
  return doubtOfQuery(query, inner) === null;
}

function doubtOfCall(parts: readonly string[], args: readonly PgNode[], context: ReadContext): Doubt | null {
  const name = parts.at(-1) ?? '';
  const schema = parts.length > 1 ? (parts.at(-2) ?? null) : null;
  const facts = context.catalog.functions(name, schema);
  if (facts.length === 0) return { reason: 'function-unknown', detail: name };
  if (name === 'current_setting') return doubtOfSetting(args, context);
  for (const fact of facts) {
    const rule = fact.schema === 'pg_catalog' ? builtinRule(name) : null;
    if (rule?.kind === 'primary') return { reason: rule.reason, detail: name };
    if (rule === null && fact.volatility === 'volatile') return { reason: 'function-volatile', detail: name };
  }
  return null;
}

/** `row.name` is a call of `name(row)` where the row has no such column. Built-in functions that take a row only read. */
function doubtOfAttribute(parts: readonly PgNode[], { catalog }: ReadContext): Doubt | null {
  for (const part of parts) {
    const name = textIn(nodeIn(part, 'String') ?? {}, 'sval');
    const facts = name === '' ? [] : catalog.functions(name, null);
    const isVolatile = facts.some(({ schema, volatility }) => schema !== 'pg_catalog' && volatility === 'volatile');
    if (isVolatile) return { reason: 'function-volatile', detail: name };
  }
  return null;
}

/** Settings of the application's own travel with the session; those of the server may differ from node to node. */
function doubtOfSetting(args: readonly PgNode[], context: ReadContext): Doubt | null {
  context.hangsOnLiteral = true;
  const name = args[0] === undefined ? null : literalOf(args[0]);
  return name?.includes('.') === true ? null : { reason: 'function-of-session', detail: 'current_setting' };
}

function noteCommonTables(tree: PgNode, names: Set<string>): void {
  const open: PgNode[] = [tree];
  for (let node = open.pop(); node !== undefined; node = open.pop()) {
    const name = node.ctename;
    if (typeof name === 'string') names.add(name);
    for (const value of Object.values(node)) {
      if (Array.isArray(value)) open.push(...value.filter(isNode));
      else if (isNode(value)) open.push(value);
    }
  }
}
