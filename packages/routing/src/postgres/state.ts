import type { PinReason, SessionEffect } from '../statement/classification.ts';
import type { PgCatalog } from './catalog.ts';
import { builtinRule, isHarmless } from './functions.ts';
import { callsIn, isNode, literalOf, nameIn, type PgGrammar, type PgNode, textIn } from './grammar.ts';

/** What running a tree does to the session beside what its statement says: through functions, views, triggers, operators, types. */
export interface StateNotes {
  readonly effects: SessionEffect[];
  readonly pins: Set<PinReason>;
  /** A function is called that nothing is known of. */
  callsUnknown: boolean;
}

const DEFINITIONS_MAX = 32;

/** Notes what a statement's calls do, whatever kind of statement it is. */
export function noteState(tree: PgNode, catalog: PgCatalog, grammar: PgGrammar, notes: StateNotes): void {
  const seen = new Set<string>();
  const open: PgNode[] = [tree];
  for (let each = open.pop(); each !== undefined; each = open.pop()) {
    noteCalls(each, catalog, notes);
    noteNames(each, catalog, notes);
    for (const definition of definitionsIn(each, catalog, notes)) {
      if (seen.has(definition) || seen.size >= DEFINITIONS_MAX) continue;
      seen.add(definition);
      const parsed = grammar.parse(definition);
      if (parsed.kind === 'tree') open.push(...parsed.statements);
    }
  }
}

function noteCalls(tree: PgNode, catalog: PgCatalog, notes: StateNotes): void {
  for (const { name: parts, args } of callsIn(tree)) {
    const name = parts.at(-1) ?? '';
    const facts = catalog.functions(name, parts.length > 1 ? (parts.at(-2) ?? null) : null);
    for (const pin of facts.flatMap((fact) => fact.pins)) notes.pins.add(pin);
    // Without facts the built-in meaning is the likeliest: a pin too many does no harm.
    const isBuiltin = facts.length === 0 || facts.some(({ schema }) => schema === 'pg_catalog');
    if (!isBuiltin) continue;
    if (name === 'set_config') noteSetConfig(args, notes);
    const rule = builtinRule(name);
    if (facts.length === 0 && rule === null && !isHarmless(name)) notes.callsUnknown = true;
    if (rule?.kind !== 'primary') continue;
    notes.effects.push(...(rule.effects ?? []));
    for (const pin of rule.pins ?? []) notes.pins.add(pin);
  }
}

/** `set_config('name', 'value', false)` is a SET; with anything but constants in it, nobody knows which. */
function noteSetConfig(args: readonly PgNode[], notes: StateNotes): void {
  const [name, value, local] = args.map(literalOf);
  const isLocal = local === 'true' || local === 't' || local === 'on';
  const isSession = local === 'false' || local === 'f' || local === 'off';
  if (name == null || value == null || (!isLocal && !isSession)) {
    if (!isLocal) notes.pins.add('untracked-setting');
    return;
  }
  notes.effects.push({ kind: 'set', name: name.toLowerCase(), values: [value], isLocal });
}

/** What stands behind an operator or a type that is known to do more than read cannot be told: it may be anything. */
function noteNames(tree: PgNode, catalog: PgCatalog, notes: StateNotes): void {
  visit(tree, (node) => {
    const operator = 'lexpr' in node || 'rexpr' in node ? nameIn(node, 'name').at(-1) : nameIn(node, 'operName').at(-1);
    const type = nameIn(node, 'names').at(-1);
    const isDoubtful =
      (operator !== undefined && catalog.operator(operator) === 'doubtful') ||
      (type !== undefined && catalog.type(type) === 'doubtful');
    if (isDoubtful) notes.pins.add('function-state');
  });
}

/** Views and policies that the tree reads; what triggers of the relations leave behind is noted on the way. */
function definitionsIn(tree: PgNode, catalog: PgCatalog, notes: StateNotes): readonly string[] {
  const found: string[] = [];
  visit(tree, (node) => {
    const name = textIn(node, 'relname');
    if (name === '') return;
    for (const fact of catalog.relations(name, textIn(node, 'schemaname') || null)) {
      found.push(...(fact.definitions ?? []));
      for (const pin of fact.pins) notes.pins.add(pin);
    }
  });
  return found;
}

function visit(tree: PgNode, look: (node: PgNode) => void): void {
  const open: PgNode[] = [tree];
  for (let node = open.pop(); node !== undefined; node = open.pop()) {
    look(node);
    for (const value of Object.values(node)) {
      if (Array.isArray(value)) open.push(...value.filter(isNode));
      else if (isNode(value)) open.push(value);
    }
  }
}
