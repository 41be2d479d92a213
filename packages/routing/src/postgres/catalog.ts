import type { PinReason } from '../statement/classification.ts';

/** What is known of one function (or aggregate, procedure, window function) of a database. */
export interface FunctionFact {
  readonly schema: string;
  readonly name: string;
  /** Of an aggregate the worst of its support functions: its own mark says nothing. Of an own function also what its body calls. */
  readonly volatility: 'immutable' | 'stable' | 'volatile';
  /** What a call may leave behind in its session: found in its body, and in what that calls. */
  readonly pins: readonly PinReason[];
}

export interface RelationFact {
  readonly schema: string;
  readonly name: string;
  readonly kind: 'table' | 'view' | 'materialized-view' | 'foreign-table' | 'sequence' | 'other';
  readonly persistence: 'permanent' | 'unlogged' | 'temporary';
  /** What runs when it is read, as SELECT statements: the view's definition, row security policies. Null: it cannot be told. */
  readonly definitions: readonly string[] | null;
  /** What writing to it may leave behind in the session: found in its triggers. */
  readonly pins: readonly PinReason[];
}

/**
 * The facts of one database that classification asks for, by name in every schema: no search path is followed, all that could be meant
 * must be harmless. An empty answer means unknown, and what is unknown goes to the primary.
 */
export interface PgCatalog {
  /** @param schema null: the name stands alone. */
  functions(name: string, schema: string | null): readonly FunctionFact[];
  relations(name: string, schema: string | null): readonly RelationFact[];
  /** `safe`: every operator (type) of that name is known to only read. */
  operator(name: string): 'safe' | 'doubtful' | 'unknown';
  type(name: string): 'safe' | 'doubtful' | 'unknown';
}

/** What `PG_CATALOG_QUERIES` return, by query. */
export interface PgCatalogRows {
  readonly functions: readonly PgFunctionRow[];
  readonly relations: readonly PgRelationRow[];
  readonly operators: readonly { readonly name: string; readonly volatility: string }[];
  readonly types: readonly { readonly name: string; readonly volatility: string }[];
}

export interface PgFunctionRow {
  readonly schema: string;
  readonly name: string;
  /** `i`, `s` or `v`. */
  readonly volatility: string;
  readonly language: string;
  /** The body; null for built-in functions. */
  readonly source: string | null;
}

export interface PgRelationRow {
  readonly schema: string;
  readonly name: string;
  /** `pg_class.relkind` and `relpersistence`. */
  readonly kind: string;
  readonly persistence: string;
  readonly definitions: readonly string[] | null;
  /** Names of the functions that its triggers call. */
  readonly triggers: readonly string[];
}

/** Facts of no database: everything is unknown, so everything goes to the primary. */
export const NO_CATALOG: PgCatalog = {
  functions: () => [],
  relations: () => [],
  operator: () => 'unknown',
  type: () => 'unknown',
};

/**
 * What fills `PgCatalogRows`. Each is one statement without parameters, for a role that may read the catalogue. The volatility of an
 * aggregate, an operator or a type (input, casts to it, checks of a domain) is the worst of the functions behind it, with `i` < `s` < `v`.
 */
export const PG_CATALOG_QUERIES = {
  functions: `SELECT n.nspname AS schema, p.proname AS name, l.lanname AS language,
    greatest(p.provolatile::text, (SELECT max(s.provolatile::text) FROM pg_catalog.pg_aggregate a JOIN pg_catalog.pg_proc s
      ON s.oid IN (a.aggtransfn, a.aggfinalfn, a.aggcombinefn, a.aggmtransfn, a.aggminvtransfn, a.aggmfinalfn)
      WHERE a.aggfnoid = p.oid)) AS volatility,
    CASE WHEN n.nspname = 'pg_catalog' THEN NULL ELSE coalesce(pg_catalog.pg_get_function_sqlbody(p.oid), p.prosrc) END AS source
    FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace
    JOIN pg_catalog.pg_language l ON l.oid = p.prolang`,
  relations: `SELECT n.nspname AS schema, c.relname AS name, c.relkind AS kind, c.relpersistence AS persistence,
    CASE WHEN c.relkind = 'v' AND n.nspname NOT IN ('pg_catalog', 'information_schema')
      THEN ARRAY[pg_catalog.pg_get_viewdef(c.oid)]
      WHEN c.relrowsecurity THEN ARRAY(SELECT 'SELECT ' || pg_catalog.pg_get_expr(y.polqual, y.polrelid)
        FROM pg_catalog.pg_policy y WHERE y.polrelid = c.oid AND y.polqual IS NOT NULL)
      ELSE '{}'::text[] END AS definitions,
    ARRAY(SELECT p.proname::text FROM pg_catalog.pg_trigger t JOIN pg_catalog.pg_proc p ON p.oid = t.tgfoid
      WHERE t.tgrelid = c.oid AND NOT t.tgisinternal) AS triggers
    FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S') AND n.nspname !~ '^pg_(toast|temp)'`,
  operators: `SELECT o.oprname AS name, max(p.provolatile::text) AS volatility
    FROM pg_catalog.pg_operator o JOIN pg_catalog.pg_proc p ON p.oid = o.oprcode GROUP BY 1`,
  types: `SELECT t.typname AS name, max(greatest(i.provolatile::text, (SELECT max(g.provolatile::text)
      FROM pg_catalog.pg_cast c JOIN pg_catalog.pg_proc g ON g.oid = c.castfunc WHERE c.casttarget = t.oid), CASE WHEN EXISTS (
      SELECT FROM pg_catalog.pg_constraint k WHERE k.contypid = t.oid AND EXISTS (SELECT FROM pg_catalog.pg_depend d
        JOIN pg_catalog.pg_proc f ON f.oid = d.refobjid AND d.refclassid = 'pg_catalog.pg_proc'::regclass
        WHERE d.classid = 'pg_catalog.pg_constraint'::regclass AND d.objid = k.oid AND f.provolatile = 'v'))
      THEN 'v' ELSE 'i' END)) AS volatility
    FROM pg_catalog.pg_type t JOIN pg_catalog.pg_proc i ON i.oid = t.typinput GROUP BY 1`,
} as const;
