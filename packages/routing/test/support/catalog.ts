import {
  buildPgCatalog,
  createPgClassifier,
  DEFAULT_PG_SESSION,
  type PgCatalog,
  type PgClassifier,
  type PgFunctionRow,
  type PgRelationRow,
} from '../../src/index.ts';
import { loadPgGrammar } from '../../src/runtime/index.ts';

const builtin = (volatility: string, names: string): readonly PgFunctionRow[] =>
  names.split(/\s+/).map((name) => ({ schema: 'pg_catalog', name, volatility, language: 'internal', source: null }));

/** Marks as PostgreSQL 15 has them. */
export const BUILTIN_FUNCTIONS: readonly PgFunctionRow[] = [
  ...builtin(
    'i',
    'count sum avg min max lower upper length abs coalesce_ array_agg row_number rank like_escape json_build_object',
  ),
  ...builtin('i', 'generate_series unnest substring position btrim extract timezone'),
  ...builtin(
    's',
    'now current_setting txid_current pg_current_xact_id pg_backend_pid inet_server_addr to_char version date_trunc',
  ),
  ...builtin('s', 'pg_get_viewdef format_type obj_description has_table_privilege pg_listening_channels table_to_xml'),
  ...builtin(
    'v',
    'random clock_timestamp gen_random_uuid pg_sleep nextval currval lastval setval setseed set_config pg_notify',
  ),
  ...builtin(
    'v',
    'pg_advisory_lock pg_try_advisory_lock pg_advisory_xact_lock pg_advisory_unlock pg_advisory_unlock_all',
  ),
  ...builtin(
    'v',
    'pg_cancel_backend pg_terminate_backend pg_is_in_recovery pg_export_snapshot pg_stat_reset query_to_xml lo_create',
  ),
  ...builtin(
    'v',
    'lo_get pg_last_wal_replay_lsn pg_switch_wal pg_relation_size pg_read_file pg_logical_slot_get_changes',
  ),
];

const own = (name: string, volatility: string, source: string, language = 'plpgsql'): PgFunctionRow => ({
  schema: 'public',
  name,
  volatility,
  language,
  source,
});

export const OWN_FUNCTIONS: readonly PgFunctionRow[] = [
  own('price', 's', 'SELECT 1', 'sql'),
  own('sly_lock', 's', 'SELECT pg_advisory_xact_lock(1)', 'sql'),
  own('sly_bump', 's', 'BEGIN RETURN (SELECT public."bump" ()); END'),
  own('slier', 'i', 'SELECT sly_bump()', 'sql'),
  own('has_version', 's', 'SELECT version FROM t', 'sql'),
  own('bump', 'v', 'BEGIN UPDATE counters SET n = n + 1; RETURN 1; END'),
  own('set_work_mem', 'v', "BEGIN SET work_mem = '64MB'; END"),
  own('calls_set', 'v', 'BEGIN PERFORM set_work_mem(); END'),
  own('local_set', 'v', "BEGIN SET LOCAL work_mem = '64MB'; END"),
  own('dynamic', 'v', 'BEGIN EXECUTE cmd; END'),
  own('locks', 'v', 'BEGIN PERFORM pg_advisory_lock(1); END'),
  own('makes_temp', 'v', 'BEGIN CREATE TEMP TABLE x(a int); END'),
  own('listens', 'v', 'BEGIN LISTEN a; END'),
  own('in_c', 'v', 'do_it', 'c'),
  own('uuid_generate_v4', 'v', 'uuid_generate_v4', 'c'),
  own('audit', 'v', "BEGIN PERFORM set_config('a.b', 'c', false); RETURN NEW; END"),
];

const relation = (name: string, kind: string, more: Partial<PgRelationRow> = {}): PgRelationRow => ({
  schema: 'public',
  name,
  kind,
  persistence: 'p',
  definitions: [],
  triggers: [],
  ...more,
});

export const RELATIONS: readonly PgRelationRow[] = [
  ...['t', 'u', 'accounts', 'counters'].map((name) => relation(name, 'r')),
  relation('audited', 'r', { triggers: ['audit'] }),
  relation('scratch', 'r', { persistence: 'u' }),
  relation('foreign_t', 'f'),
  relation('seq', 'S'),
  relation('mat', 'm'),
  relation('plain_view', 'v', { definitions: ['SELECT t.a FROM t WHERE t.a > 1;'] }),
  relation('view_of_view', 'v', { definitions: ['SELECT plain_view.a FROM plain_view;'] }),
  relation('counting_view', 'v', { definitions: ['SELECT bump() AS n FROM t;'] }),
  relation('setting_view', 'v', { definitions: ['SELECT set_work_mem() AS n FROM t;'] }),
  relation('hidden_view', 'v', { definitions: null }),
  relation('tenants', 'r', { definitions: ["SELECT (owner = current_setting('app.user'::text))"] }),
  relation('bad_tenants', 'r', { definitions: ['SELECT bump() > 0'] }),
  relation('loop_view', 'v', { definitions: ['SELECT * FROM loop_view'] }),
  relation('pg_class', 'r', { schema: 'pg_catalog' }),
  relation('pg_locks', 'v', { schema: 'pg_catalog' }),
  relation('pg_stat_activity', 'v', { schema: 'pg_catalog' }),
  relation('pg_statistic', 'r', { schema: 'pg_catalog' }),
  relation('columns', 'v', { schema: 'information_schema' }),
];

const named = (names: string, volatility: string) => names.split(' ').map((name) => ({ name, volatility }));

export const CATALOG: PgCatalog = buildPgCatalog({
  functions: [...BUILTIN_FUNCTIONS, ...OWN_FUNCTIONS],
  relations: RELATIONS,
  operators: [...named('= < > <= >= <> + - * / || ~~ ~ -> ->> @>', 'i'), ...named('<<!>>', 'v')],
  types: [
    ...named('int4 int8 text bool date timestamptz interval regclass jsonb numeric varchar json uuid', 's'),
    ...named('checked', 'v'),
  ],
});

export const GRAMMAR = await loadPgGrammar();

export const newClassifier = (): PgClassifier => createPgClassifier(GRAMMAR, CATALOG);

const shared = newClassifier();

/** The class of a text in an ordinary session. */
export const classify = (text: string) => shared.classify(text, DEFAULT_PG_SESSION);
