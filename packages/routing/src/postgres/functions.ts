import type { ClassReason, PinReason, SessionEffect } from '../statement/classification.ts';

/** What this package knows of a built-in function beyond its mark in the catalogue, which speaks of plans and not of nodes. */
export type BuiltinRule =
  /** Declared volatile, and harmless: it answers differently each time, and everywhere. */
  | { readonly kind: 'reads' }
  | {
      readonly kind: 'primary';
      readonly reason: ClassReason;
      readonly effects?: readonly SessionEffect[];
      readonly pins?: readonly PinReason[];
    };

const reads: BuiltinRule = { kind: 'reads' };
const node: BuiltinRule = { kind: 'primary', reason: 'function-of-node' };
const session: BuiltinRule = { kind: 'primary', reason: 'function-of-session' };
const writes: BuiltinRule = { kind: 'primary', reason: 'function-writes' };
const lockInSession: BuiltinRule = {
  kind: 'primary',
  reason: 'advisory-lock',
  effects: [{ kind: 'advisory-lock', scope: 'session' }],
  pins: ['session-advisory-lock'],
};
const lockInTransaction: BuiltinRule = {
  kind: 'primary',
  reason: 'advisory-lock',
  effects: [{ kind: 'advisory-lock', scope: 'transaction' }],
};
const sequenceMoves: BuiltinRule = { kind: 'primary', reason: 'sequence', effects: [{ kind: 'sequence' }] };
const sequenceOfSession: BuiltinRule = { kind: 'primary', reason: 'sequence', pins: ['sequence-value'] };

const all = (rule: BuiltinRule, ...names: readonly string[]): readonly (readonly [string, BuiltinRule])[] =>
  names.map((name) => [name, rule]);

const BY_NAME: ReadonlyMap<string, BuiltinRule> = new Map([
  ...all(reads, 'random', 'random_normal', 'clock_timestamp', 'timeofday', 'gen_random_uuid', 'uuidv4', 'uuidv7'),
  ...all(reads, 'pg_sleep', 'pg_sleep_for', 'pg_sleep_until'),
  ...all(lockInSession, 'pg_advisory_lock', 'pg_advisory_lock_shared', 'pg_try_advisory_lock'),
  ...all(lockInSession, 'pg_try_advisory_lock_shared'),
  ...all(lockInTransaction, 'pg_advisory_xact_lock', 'pg_advisory_xact_lock_shared', 'pg_try_advisory_xact_lock'),
  ...all(lockInTransaction, 'pg_try_advisory_xact_lock_shared'),
  ...all(
    { kind: 'primary', reason: 'advisory-lock', effects: [{ kind: 'advisory-unlock', isAll: false }] },
    'pg_advisory_unlock',
    'pg_advisory_unlock_shared',
  ),
  ...all(
    { kind: 'primary', reason: 'advisory-lock', effects: [{ kind: 'advisory-unlock', isAll: true }] },
    'pg_advisory_unlock_all',
  ),
  ...all(sequenceMoves, 'nextval', 'setval'),
  ...all(sequenceOfSession, 'currval', 'lastval'),
  ...all({ kind: 'primary', reason: 'sequence' }, 'pg_sequence_last_value'),
  ...all({ kind: 'primary', reason: 'function-of-session', pins: ['seed'] }, 'setseed'),
  // They are declared stable and take a transaction number, or tell one.
  ...all(writes, 'txid_current', 'pg_current_xact_id', 'txid_current_if_assigned', 'pg_current_xact_id_if_assigned'),
  ...all(writes, 'pg_notify', 'query_to_xml', 'query_to_xmlschema', 'query_to_xml_and_xmlschema', 'ts_stat'),
  ...all(
    session,
    'pg_listening_channels',
    'pg_cursor',
    'pg_prepared_statement',
    'pg_show_all_settings',
    'pg_settings_get_flags',
  ),
  ...all(session, 'pg_my_temp_schema', 'pg_is_other_temp_schema', 'pg_trigger_depth', 'pg_export_snapshot'),
  ...all(session, 'cursor_to_xml', 'cursor_to_xmlschema', 'set_config'),
  ...all(
    node,
    'pg_backend_pid',
    'pg_cancel_backend',
    'pg_terminate_backend',
    'pg_blocking_pids',
    'pg_safe_snapshot_blocking_pids',
  ),
  ...all(
    node,
    'pg_is_in_recovery',
    'pg_is_wal_replay_paused',
    'pg_wal_replay_pause',
    'pg_wal_replay_resume',
    'pg_promote',
  ),
  ...all(node, 'inet_server_addr', 'inet_server_port', 'inet_client_addr', 'inet_client_port', 'version', 'pg_version'),
  ...all(
    node,
    'pg_postmaster_start_time',
    'pg_conf_load_time',
    'pg_reload_conf',
    'pg_rotate_logfile',
    'pg_current_logfile',
  ),
  ...all(
    node,
    'pg_lock_status',
    'pg_prepared_xact',
    'pg_isolation_test_session_is_blocked',
    'pg_hba_file_rules',
    'pg_config',
  ),
  ...all(
    node,
    'pg_switch_wal',
    'pg_create_restore_point',
    'pg_walfile_name',
    'pg_walfile_name_offset',
    'pg_jit_available',
  ),
  ...all(node, 'pg_read_file', 'pg_read_binary_file', 'pg_stat_file', 'pg_tablespace_location', 'pg_relation_filepath'),
  ...all(
    node,
    'pg_available_extensions',
    'pg_available_extension_versions',
    'pg_timezone_names',
    'pg_timezone_abbrevs',
  ),
  ...all(
    node,
    'pg_database_size',
    'pg_tablespace_size',
    'pg_tablespace_databases',
    'txid_current_snapshot',
    'pg_get_shmem_allocations',
    'pg_get_backend_memory_contexts',
  ),
  ...all(
    node,
    'pg_nextoid',
    'pg_stop_making_pinned_objects',
    'pg_import_system_collations',
    'pg_collation_actual_version',
  ),
]);

/** They read what their argument names, whatever that is. */
const READERS_BY_NAME = /^(?:table|schema|database)_to_xml/;

/** Families whose members tell of the node they run on, or of its servers' links. */
const NODE_FAMILIES =
  /^pg_(?:stat_|control_|ls_|last_|current_wal_|current_snapshot|wal_|backup_|walfile|get_wal_|show_|replication_|logical_|create_.*_slot|drop_|copy_.*_slot|log_|get_replication_|file_|ident_|snapshot_|xact_)/;
const WRITE_FAMILIES = /^(?:lo_|loread$|lowrite$|brin_|gin_clean|dblink)/;

/** The rule for a function of `pg_catalog`; null when its mark in the catalogue may be believed. */
export function builtinRule(name: string): BuiltinRule | null {
  const known = BY_NAME.get(name);
  if (known !== undefined) return known;
  if (NODE_FAMILIES.test(name)) return node;
  return WRITE_FAMILIES.test(name) || READERS_BY_NAME.test(name) ? writes : null;
}

/** Built-in functions of everyday statements, which leave nothing in their session. For databases without catalogue facts. */
const HARMLESS: ReadonlySet<string> = new Set(
  (
    'count sum avg min max array_agg string_agg json_agg jsonb_agg json_object_agg jsonb_object_agg bool_and bool_or every ' +
    'row_number rank dense_rank ntile lag lead first_value last_value percentile_cont percentile_disc mode ' +
    'now date_trunc date_part extract age to_char to_date to_timestamp to_number make_date make_interval make_timestamp timezone ' +
    'lower upper length char_length octet_length trim btrim ltrim rtrim substr substring position replace concat concat_ws left ' +
    'right repeat reverse split_part strpos format quote_ident quote_literal md5 sha256 encode decode initcap lpad rpad ' +
    'regexp_replace regexp_match regexp_matches regexp_split_to_array regexp_split_to_table starts_with overlay ascii chr ' +
    'abs round ceil ceiling floor trunc mod power sqrt sign greatest least random generate_series unnest ' +
    'array_length cardinality array_append array_cat array_remove array_position array_to_string string_to_array ' +
    'json_build_object jsonb_build_object json_build_array jsonb_build_array to_json to_jsonb row_to_json jsonb_set ' +
    'jsonb_array_elements jsonb_array_elements_text json_array_elements jsonb_each jsonb_typeof ' +
    'to_tsvector to_tsquery plainto_tsquery websearch_to_tsquery ts_rank hashtext ' +
    'current_setting current_database current_schema current_schemas pg_typeof pg_get_indexdef pg_get_constraintdef ' +
    'pg_get_expr pg_get_viewdef pg_get_userbyid pg_table_is_visible format_type obj_description col_description ' +
    'pg_total_relation_size pg_relation_size pg_table_size pg_size_pretty pg_encoding_to_char like_escape'
  ).split(' '),
);

export const isHarmless = (name: string): boolean => HARMLESS.has(name);

/** Relations of `pg_catalog` that tell of the node or of the session; the others are the catalogue itself, which is replicated. */
const NODE_RELATIONS =
  /^pg_(?:stat_|statio_|locks$|settings$|cursors$|prepared_|replication_|file_settings$|hba_|ident_|shmem_|backend_|config$|available_|timezone_|subscription|publication_tables$|aios$|dios|wait_events$|get_|sequences$|stat$)/;

export const isNodeRelation = (name: string): boolean => NODE_RELATIONS.test(name);
