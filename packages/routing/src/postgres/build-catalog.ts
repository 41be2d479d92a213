import type { PinReason } from '../statement/classification.ts';
import type { FunctionFact, PgCatalog, PgCatalogRows, PgRelationRow, RelationFact } from './catalog.ts';
import { pinsByFunction, volatileByBody } from './function-bodies.ts';

/** The catalogue facts of a database from the rows of `PG_CATALOG_QUERIES`. */
export function buildPgCatalog(rows: PgCatalogRows): PgCatalog {
  const pins = pinsByFunction(rows.functions);
  const doubtful = volatileByBody(rows.functions);
  const functions = grouped(
    rows.functions.map(({ schema, name, volatility, source }): FunctionFact => {
      const own = source === null ? [] : [...(pins.get(name) ?? [])];
      const isDoubtful = source !== null && doubtful.has(name);
      return { schema, name, volatility: isDoubtful ? 'volatile' : volatilityOf(volatility), pins: own };
    }),
  );
  const relations = grouped(rows.relations.map((row) => relationOf(row, pins)));
  const operators = new Map(rows.operators.map(({ name, volatility }) => [name, verdictOf(volatility)]));
  const types = new Map(rows.types.map(({ name, volatility }) => [name, verdictOf(volatility)]));
  return {
    functions: (name, schema) => inSchema(functions.get(name), schema),
    relations: (name, schema) => inSchema(relations.get(name), schema),
    operator: (name) => operators.get(name) ?? 'unknown',
    type: (name) => types.get(name) ?? 'unknown',
  };
}

function relationOf(row: PgRelationRow, pins: ReadonlyMap<string, ReadonlySet<PinReason>>): RelationFact {
  const left = row.triggers.flatMap((name) => [...(pins.get(name) ?? [])]);
  return {
    schema: row.schema,
    name: row.name,
    kind: KINDS[row.kind] ?? 'other',
    persistence: row.persistence === 'u' ? 'unlogged' : row.persistence === 't' ? 'temporary' : 'permanent',
    definitions: row.definitions,
    pins: [...new Set(left)],
  };
}

const KINDS: Readonly<Record<string, RelationFact['kind']>> = {
  r: 'table',
  p: 'table',
  v: 'view',
  m: 'materialized-view',
  f: 'foreign-table',
  S: 'sequence',
};

const volatilityOf = (letter: string): FunctionFact['volatility'] =>
  letter === 'i' ? 'immutable' : letter === 's' ? 'stable' : 'volatile';

const verdictOf = (letter: string): 'safe' | 'doubtful' => (letter === 'i' || letter === 's' ? 'safe' : 'doubtful');

function grouped<Fact extends { readonly name: string }>(facts: readonly Fact[]): ReadonlyMap<string, readonly Fact[]> {
  const found = new Map<string, Fact[]>();
  for (const fact of facts) {
    const list = found.get(fact.name);
    if (list === undefined) found.set(fact.name, [fact]);
    else list.push(fact);
  }
  return found;
}

function inSchema<Fact extends { readonly schema: string }>(
  facts: readonly Fact[] | undefined,
  schema: string | null,
): readonly Fact[] {
  if (facts === undefined) return [];
  return schema === null ? facts : facts.filter((fact) => fact.schema === schema);
}
