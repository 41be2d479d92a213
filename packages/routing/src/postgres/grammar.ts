/** A node of a parse tree: one key in capitals that names its kind, or the fields of one. As libpg-query gives it. */
export type PgNode = { readonly [key: string]: unknown };

/**
 * - `tree`: the statements of a text, in order. - `rejected`: no SQL of the grammar's version.
 * - `unavailable`: the parser is being made anew after a fault; the next call may succeed.
 */
export type PgParse =
  | { readonly kind: 'tree'; readonly statements: readonly PgNode[] }
  | { readonly kind: 'rejected'; readonly message: string }
  | { readonly kind: 'unavailable' };

/** PostgreSQL's own grammar (`loadPgGrammar` of `@understudy/routing/runtime`). */
export interface PgGrammar {
  parse(text: string): PgParse;
}

export const isNode = (value: unknown): value is PgNode =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** A field that is a node, or null. */
export function nodeIn(node: PgNode, field: string): PgNode | null {
  const value = node[field];
  return isNode(value) ? value : null;
}

/** A field that is a list of nodes; empty when it is absent. */
export function nodesIn(node: PgNode, field: string): readonly PgNode[] {
  const value = node[field];
  return Array.isArray(value) ? value.filter(isNode) : [];
}

export function textIn(node: PgNode, field: string): string {
  const value = node[field];
  return typeof value === 'string' ? value : '';
}

export const isSet = (node: PgNode, field: string): boolean => node[field] === true;

/** The kind and the fields of `{ Kind: { … } }`; null for anything else. */
export function kindOf(node: PgNode): { readonly kind: string; readonly fields: PgNode } | null {
  const [entry, ...more] = Object.entries(node);
  return entry !== undefined && more.length === 0 && isNode(entry[1]) && isKindName(entry[0])
    ? { kind: entry[0], fields: entry[1] }
    : null;
}

export const isKindName = (key: string): boolean => key.charCodeAt(0) >= 65 && key.charCodeAt(0) <= 90;

/** The parts of a qualified name: a list of `String` nodes. */
export function nameIn(node: PgNode, field: string): readonly string[] {
  return nodesIn(node, field).map((part) => textIn(nodeIn(part, 'String') ?? {}, 'sval'));
}

/** What a constant says, as text; null when it is none. */
export function constantOf(node: PgNode): string | null {
  const constant = nodeIn(node, 'A_Const');
  if (constant === null) return null;
  const text = nodeIn(constant, 'sval');
  if (text !== null) return textIn(text, 'sval');
  const whole = nodeIn(constant, 'ival');
  // A zero has no digits in the tree.
  if (whole !== null) return String(typeof whole.ival === 'number' ? whole.ival : 0);
  const truth = nodeIn(constant, 'boolval');
  if (truth !== null) return isSet(truth, 'boolval') ? 'true' : 'false';
  const decimal = nodeIn(constant, 'fval');
  return decimal === null ? null : textIn(decimal, 'fval');
}

/** What a constant says, also under a cast (`'x'::text`); null when it is none. */
export function literalOf(node: PgNode): string | null {
  const cast = nodeIn(node, 'TypeCast');
  return constantOf((cast === null ? null : nodeIn(cast, 'arg')) ?? node);
}

/** Every function call in a tree, wherever it stands, with the name's parts and the arguments. */
export function callsIn(
  tree: PgNode,
): readonly { readonly name: readonly string[]; readonly args: readonly PgNode[] }[] {
  const found: { name: readonly string[]; args: readonly PgNode[] }[] = [];
  const open: PgNode[] = [tree];
  for (let node = open.pop(); node !== undefined; node = open.pop()) {
    if (Array.isArray(node.funcname)) found.push({ name: nameIn(node, 'funcname'), args: nodesIn(node, 'args') });
    for (const value of Object.values(node)) {
      if (Array.isArray(value)) open.push(...value.filter(isNode));
      else if (isNode(value)) open.push(value);
    }
  }
  return found.toReversed();
}
