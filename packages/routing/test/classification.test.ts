/**
 * Goal: a statement goes to a replica only if it is a confirmed read. Method: every known misclassification of other routers,
 * as text and expected class.
 */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import {
  type ClassReason,
  createPgClassifier,
  DEFAULT_PG_SESSION,
  type PgGrammar,
  type PgNode,
  type PinReason,
} from '../src/index.ts';
import { CATALOG, classify, newClassifier } from './support/catalog.ts';

/** Text, reason; what it decides is in the heading. */
type Case = readonly [text: string, reason: ClassReason];

const READS: readonly string[] = [
  'SELECT 1',
  'select a, b from t where a = $1 and b in (1, 2) order by a limit 10 offset 5',
  '(SELECT a FROM t) UNION ALL (SELECT a FROM u)',
  'VALUES (1), (2)',
  'TABLE t',
  '  /* c */ -- d\n SELECT 1;',
  ';;SELECT 1;;',
  'SELECT a FROM t; SELECT b FROM u',
  'WITH x AS (SELECT a FROM t), y AS (SELECT a FROM x) SELECT * FROM y JOIN u USING (a)',
  'WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r WHERE n < 5) SELECT sum(n) FROM r',
  'SELECT count(*), sum(a) FILTER (WHERE b), row_number() OVER (PARTITION BY a ORDER BY b) FROM t GROUP BY a HAVING count(*) > 1',
  'SELECT now(), current_user, current_timestamp, random(), gen_random_uuid(), clock_timestamp()',
  "SELECT a::text, 'x'::regclass, interval '1 day', date '2020-01-01', a[1], (t.b).c FROM t",
  "SELECT CASE WHEN a BETWEEN 1 AND 2 THEN 'x' ELSE upper(b) END FROM t WHERE b LIKE 'x%' AND EXISTS (SELECT 1 FROM u)",
  'SELECT * FROM t TABLESAMPLE system (1)',
  'SELECT * FROM generate_series(1, 10) AS g(n), LATERAL (SELECT a FROM t WHERE a = n) AS l',
  'SELECT price(1)',
  'SELECT has_version()',
  'SELECT * FROM plain_view',
  'SELECT * FROM view_of_view',
  'SELECT * FROM mat',
  'SELECT * FROM tenants',
  'SELECT * FROM public.t',
  'SELECT relname FROM pg_catalog.pg_class',
  'SELECT * FROM pg_statistic',
  'SELECT * FROM information_schema.columns',
  "SELECT current_setting('app.user')",
  'EXPLAIN SELECT * FROM t',
  'EXPLAIN (ANALYZE, BUFFERS) SELECT * FROM t',
  'COPY (SELECT * FROM t) TO STDOUT',
  'COPY t TO STDOUT WITH (FORMAT csv)',
  "SELECT extract(year FROM now()), substring('abc' FROM 2), now() AT TIME ZONE 'UTC'",
  "SELECT json_build_object('a', a) FROM t",
  "SELECT 'it''s', E'a\\'b', $$x;DELETE FROM t$$, $q$'$q$",
  'SELECT "a""b" FROM t',
  '',
  '-- nothing',
  ';',
];

const PRIMARY: readonly Case[] = [
  // A common table expression that writes.
  ['WITH d AS (DELETE FROM t RETURNING *) SELECT * FROM d', 'write'],
  ['WITH i AS (INSERT INTO t VALUES (1) RETURNING a) SELECT * FROM i', 'write'],
  ['SELECT * FROM (WITH x AS (UPDATE t SET a = 1 RETURNING a) SELECT * FROM x) AS s', 'write'],
  ['WITH x AS (MERGE INTO t USING u ON true WHEN MATCHED THEN DELETE RETURNING t.a) SELECT * FROM x', 'write'],
  // Row locks, also where they hide.
  ['SELECT * FROM t FOR UPDATE', 'row-lock'],
  ['SELECT * FROM t FOR NO KEY UPDATE SKIP LOCKED', 'row-lock'],
  ['SELECT * FROM t FOR SHARE', 'row-lock'],
  ['SELECT * FROM t FOR KEY SHARE NOWAIT', 'row-lock'],
  ['SELECT * FROM (SELECT * FROM t FOR UPDATE) AS s', 'row-lock'],
  ['WITH x AS (SELECT * FROM t FOR UPDATE) SELECT * FROM x', 'row-lock'],
  ['(SELECT a FROM t) UNION ALL (SELECT a FROM t FOR UPDATE)', 'row-lock'],
  // Comments, parentheses, empty statements in front.
  ['/* SELECT */ DELETE FROM t', 'write'],
  ['-- SELECT\nUPDATE t SET a = 1', 'write'],
  [';;INSERT INTO t VALUES (1)', 'write'],
  ['/* a /* nested */ SELECT */ DELETE FROM t', 'write'],
  ['SELECT 1; DELETE FROM t', 'write'],
  // Writes that look like reads.
  ['INSERT INTO t VALUES (1) RETURNING a', 'write'],
  ['SELECT a INTO x FROM t', 'select-into'],
  ['CREATE TABLE x AS SELECT * FROM t', 'schema-change'],
  ['EXPLAIN ANALYZE DELETE FROM t', 'explains-write'],
  ['EXPLAIN (ANALYZE true) INSERT INTO t VALUES (1)', 'explains-write'],
  ['EXPLAIN ANALYZE SELECT * FROM t FOR UPDATE', 'explains-write'],
  ['EXPLAIN UPDATE t SET a = 1', 'explains-write'],
  ['TRUNCATE t', 'write'],
  ['MERGE INTO t USING u ON true WHEN MATCHED THEN DELETE', 'write'],
  // Functions.
  ['SELECT bump()', 'function-volatile'],
  ['SELECT unheard_of()', 'function-unknown'],
  // Marked as stable, and not to be believed.
  ['SELECT sly_lock()', 'function-volatile'],
  ['SELECT sly_bump()', 'function-volatile'],
  ['SELECT slier()', 'function-volatile'],
  ["SELECT table_to_xml('counting_view', true, true, '')", 'function-writes'],
  ['SELECT * FROM bump() AS x', 'function-volatile'],
  ['SELECT a FROM t WHERE bump() > 1', 'function-volatile'],
  ['SELECT a FROM t ORDER BY bump()', 'function-volatile'],
  ['SELECT sum(bump()) FROM t', 'function-volatile'],
  ['SELECT t.bump FROM t', 'function-volatile'],
  ['SELECT (t).bump FROM t', 'function-volatile'],
  ['SELECT public.bump()', 'function-volatile'],
  ["SELECT nextval('seq')", 'sequence'],
  ["SELECT setval('seq', 1)", 'sequence'],
  ["SELECT currval('seq')", 'sequence'],
  ['SELECT lastval()', 'sequence'],
  ['SELECT last_value FROM seq', 'sequence'],
  ['SELECT txid_current()', 'function-writes'],
  ['SELECT pg_current_xact_id()', 'function-writes'],
  ["SELECT pg_notify('a', 'b')", 'function-writes'],
  ['SELECT lo_create(0)', 'function-writes'],
  ['SELECT lo_get(1)', 'function-writes'],
  ["SELECT query_to_xml('DELETE FROM t', true, true, '')", 'function-writes'],
  ["SELECT set_config('a.b', 'c', false)", 'function-of-session'],
  ["SELECT current_setting('port')", 'function-of-session'],
  ['SELECT setseed(0.5)', 'function-of-session'],
  // Silently wrong on a replica.
  ['SELECT pg_advisory_lock(1)', 'advisory-lock'],
  ['SELECT pg_try_advisory_lock(1)', 'advisory-lock'],
  ['SELECT pg_advisory_xact_lock(1)', 'advisory-lock'],
  ['SELECT pg_advisory_unlock_all()', 'advisory-lock'],
  ['SELECT pg_backend_pid()', 'function-of-node'],
  ['SELECT pg_cancel_backend(1)', 'function-of-node'],
  ['SELECT pg_terminate_backend(1)', 'function-of-node'],
  ['SELECT pg_is_in_recovery()', 'function-of-node'],
  ['SELECT inet_server_addr()', 'function-of-node'],
  ['SELECT pg_export_snapshot()', 'function-of-session'],
  ['SELECT pg_stat_reset()', 'function-of-node'],
  ['SELECT pg_last_wal_replay_lsn()', 'function-of-node'],
  ["SELECT pg_read_file('x')", 'function-of-node'],
  ['SELECT * FROM pg_locks', 'relation-of-node'],
  ['SELECT * FROM pg_catalog.pg_stat_activity', 'relation-of-node'],
  ['SELECT * FROM pg_prepared_statements', 'relation-unknown'],
  // Relations that replicas do not have, or do not show alike.
  ['SELECT * FROM scratch', 'relation-unlogged'],
  ['SELECT * FROM pg_temp.x', 'relation-temporary'],
  ['SELECT * FROM foreign_t', 'relation-foreign'],
  ['SELECT * FROM unheard_of', 'relation-unknown'],
  ['SELECT * FROM counting_view', 'view-doubtful'],
  ['SELECT * FROM hidden_view', 'view-doubtful'],
  ['SELECT * FROM loop_view', 'view-doubtful'],
  ['SELECT * FROM bad_tenants', 'view-doubtful'],
  ['WITH x AS (SELECT 1) SELECT * FROM x, counting_view', 'view-doubtful'],
  // A name that is a common table expression does not hide the relation elsewhere.
  ['WITH counting_view AS (SELECT 1) SELECT * FROM counting_view', 'view-doubtful'],
  ['SELECT 1 <<!>> 2', 'operator-doubtful'],
  ['SELECT 1 OPERATOR(public.<<!>>) 2', 'operator-doubtful'],
  ['SELECT a FROM t ORDER BY a USING <<!>>', 'operator-doubtful'],
  ["SELECT 'x'::checked", 'type-doubtful'],
  ['SELECT CAST(a AS checked[]) FROM t', 'type-doubtful'],
  ["SELECT 'x'::nowhere", 'type-doubtful'],
  // State of the session.
  ['SET work_mem = 1', 'session-state'],
  ['SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY', 'session-state'],
  ['SET default_transaction_read_only = on', 'session-state'],
  ['SET transaction_read_only = 0', 'session-state'],
  ['SHOW work_mem', 'session-state'],
  ['RESET ALL', 'session-state'],
  ['DISCARD ALL', 'session-state'],
  ['LISTEN a', 'notification'],
  ['NOTIFY a', 'notification'],
  ['LOCK TABLE t', 'table-lock'],
  ['PREPARE p AS SELECT 1', 'prepared-by-name'],
  ['EXECUTE p', 'prepared-by-name'],
  ['DEALLOCATE ALL', 'prepared-by-name'],
  ['DECLARE c CURSOR WITH HOLD FOR SELECT 1', 'cursor'],
  ["LOAD 'auto_explain'", 'session-state'],
  // Procedures, blocks, commands, data.
  ['CALL p()', 'procedure'],
  ['DO $$ BEGIN DELETE FROM t; END $$', 'procedure'],
  ['COPY t FROM STDIN', 'copy-in'],
  ["COPY t TO '/tmp/x'", 'copy-by-server'],
  ["COPY (SELECT 1) TO PROGRAM 'x'", 'copy-by-server'],
  ['COPY (DELETE FROM t RETURNING a) TO STDOUT', 'write'],
  ['VACUUM', 'utility'],
  ['CHECKPOINT', 'utility'],
  ['DROP TABLE t', 'schema-change'],
  ['CREATE INDEX ON t (a)', 'schema-change'],
  ['REFRESH MATERIALIZED VIEW mat', 'schema-change'],
  // What the grammar does not know.
  ["WAIT FOR LSN '0/1'", 'not-parsed'],
  ['SELEC 1', 'not-parsed'],
  ['SELECT 1; SELEC', 'not-parsed'],
  ['\ufeffSELECT 1', 'not-parsed'],
  ['SELECT 1\u0000; DELETE FROM t', 'not-parsed'],
  ["SELECT 'open", 'not-parsed'],
  // Transactions mixed with others.
  ['BEGIN; SELECT 1; COMMIT', 'several'],
  ['BEGIN; DELETE FROM t', 'several'],
];

describe('a confirmed read', () => {
  for (const text of READS) {
    test(`${JSON.stringify(text).slice(0, 100)} may go to any node`, () => {
      const { node, reason, detail, mayWrite, pins, effects } = classify(text);
      assert.equal(node, 'any', `${reason} ${detail}`);
      assert.equal(mayWrite, false);
      assert.deepEqual([pins, effects], [[], []]);
    });
  }
});

describe('everything else', () => {
  for (const [text, reason] of PRIMARY) {
    test(`${JSON.stringify(text).slice(0, 100)} goes to the primary: ${reason}`, () => {
      const found = classify(text);
      assert.equal(found.node, 'primary', `${found.reason} ${found.detail}`);
      assert.equal(found.reason, reason, found.detail);
    });
  }
});

test('without facts about the database nothing but constants is confirmed', () => {
  const classifier = newClassifier();
  classifier.setCatalog({ functions: () => [], relations: () => [], operator: () => 'unknown', type: () => 'unknown' });
  for (const text of ['SELECT * FROM t', 'SELECT now()', 'SELECT 1 + 1', "SELECT '1'::int"]) {
    assert.equal(classifier.classify(text, DEFAULT_PG_SESSION).node, 'primary', text);
  }
  assert.equal(classifier.classify('SELECT 1', DEFAULT_PG_SESSION).node, 'any');
});

test('what a newer grammar adds is in doubt: a kind of node, and a field that hides one', () => {
  const reasonOf = (select: PgNode) => {
    const grammar: PgGrammar = { parse: () => ({ kind: 'tree', statements: [{ SelectStmt: select }] }) };
    const { node, reason, detail } = createPgClassifier(grammar, CATALOG).classify('SELECT 1', DEFAULT_PG_SESSION);
    return `${node}: ${reason} ${detail}`;
  };
  assert.equal(reasonOf({ targetList: [{ ResTarget: { val: { NewExpr: {} } } }] }), 'primary: grammar-unknown NewExpr');
  assert.equal(reasonOf({ newClause: { relname: 't' } }), 'primary: grammar-unknown SelectStmt.newClause');
  assert.equal(reasonOf({ targetList: [], sortClause: [{ DoStmt: {} }] }), 'primary: grammar-unknown DoStmt');
  assert.equal(reasonOf({ targetList: [] }), 'any: read ');
});

test('transaction control says what it does', () => {
  const of = (text: string) => {
    const { node, transaction } = classify(text);
    return [node, transaction];
  };
  assert.deepEqual(of('BEGIN'), ['none', { kind: 'begin', mode: { isReadOnly: null, isolation: null } }]);
  assert.deepEqual(of('BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY'), [
    'none',
    { kind: 'begin', mode: { isReadOnly: true, isolation: 'repeatable read' } },
  ]);
  assert.deepEqual(of('START TRANSACTION READ WRITE'), [
    'none',
    { kind: 'begin', mode: { isReadOnly: false, isolation: null } },
  ]);
  assert.deepEqual(of('COMMIT AND CHAIN'), ['transaction', { kind: 'commit', isChained: true }]);
  assert.deepEqual(of('END'), ['transaction', { kind: 'commit', isChained: false }]);
  assert.deepEqual(of('ABORT'), ['transaction', { kind: 'rollback', isChained: false }]);
  assert.deepEqual(of('SAVEPOINT a'), ['transaction', { kind: 'savepoint', name: 'a' }]);
  assert.deepEqual(of('ROLLBACK TO a'), ['transaction', { kind: 'rollback-to', name: 'a' }]);
  assert.deepEqual(of("PREPARE TRANSACTION 'x'"), ['transaction', { kind: 'prepare', gid: 'x' }]);
  assert.deepEqual(of("COMMIT PREPARED 'x'"), ['primary', { kind: 'commit-prepared', gid: 'x' }]);
  assert.deepEqual(of('FETCH 1 FROM c'), ['transaction', null]);
});

const PINS: readonly (readonly [string, readonly PinReason[]])[] = [
  ['CREATE TEMP TABLE x (a int)', ['temporary-table']],
  ['CREATE TEMPORARY VIEW x AS SELECT 1', ['temporary-table']],
  ['CREATE TEMP SEQUENCE x', ['temporary-table']],
  ['CREATE TABLE pg_temp.x (a int)', ['temporary-table']],
  ['CREATE TEMP TABLE x AS SELECT 1', ['temporary-table']],
  ['SELECT 1 INTO TEMP x', ['temporary-table']],
  ['SELECT pg_advisory_lock(1)', ['session-advisory-lock']],
  ['SELECT pg_advisory_xact_lock(1)', []],
  ['SELECT a FROM t WHERE pg_try_advisory_lock(a)', ['session-advisory-lock']],
  ['LISTEN a', ['listen']],
  ['DECLARE c CURSOR WITH HOLD FOR SELECT 1', ['cursor-with-hold']],
  ['DECLARE c CURSOR FOR SELECT 1', []],
  ['PREPARE p AS SELECT 1', ['prepared-by-name']],
  ["SET TIME ZONE INTERVAL '1' HOUR TO MINUTE", ['untracked-setting']],
  ["SELECT set_config(name, 'x', false) FROM t", ['untracked-setting']],
  ["SELECT set_config('a.b', 'x', true)", []],
  ["SELECT set_config('a.b', 'x', false)", []],
  ['SELECT setseed(0.1)', ['seed']],
  ['SELECT lastval()', ['sequence-value']],
  ["SELECT nextval('seq')", []],
  ["LOAD 'x'", ['library']],
  ['DO $$ BEGIN SET work_mem = 1; END $$', ['function-state']],
  ['DO $$ BEGIN SET LOCAL work_mem = 1; END $$', []],
  ['DO $$ BEGIN UPDATE t SET a = 1; END $$', []],
  ['DO $$ BEGIN EXECUTE x; END $$', ['function-state']],
  // State that functions change, wherever they are called from.
  ['SELECT set_work_mem()', ['function-state']],
  ['SELECT calls_set()', ['function-state']],
  ['SELECT local_set()', []],
  ['CALL set_work_mem()', ['function-state']],
  ['SELECT dynamic()', ['function-state']],
  ['SELECT locks()', ['session-advisory-lock']],
  ['SELECT makes_temp()', ['temporary-table']],
  ['SELECT listens()', ['listen']],
  ['SELECT in_c()', ['function-state']],
  ['SELECT uuid_generate_v4()', []],
  ['SELECT * FROM setting_view', ['function-state']],
  ['INSERT INTO audited VALUES (1)', ['function-state']],
  ['INSERT INTO t SELECT set_work_mem()', ['function-state']],
  ['SELECT 1 <<!>> 2', ['function-state']],
  ["SELECT 'x'::checked", ['function-state']],
  ['SOMETHING NEW', ['untracked-setting']],
];

describe('what a statement leaves in its session', () => {
  for (const [text, pins] of PINS) {
    test(`${text}: ${pins.join(', ') || 'nothing that pins'}`, () => assert.deepEqual(classify(text).pins, pins));
  }

  test('settings are told with their values', () => {
    const effects = (text: string) => classify(text).effects;
    assert.deepEqual(effects('SET search_path TO a, "B"'), [
      { kind: 'set', name: 'search_path', values: ['a', 'B'], isLocal: false },
    ]);
    assert.deepEqual(effects('SET LOCAL work_mem TO DEFAULT'), [
      { kind: 'set', name: 'work_mem', values: null, isLocal: true },
    ]);
    assert.deepEqual(effects('SET ROLE bob'), [{ kind: 'set', name: 'role', values: ['bob'], isLocal: false }]);
    assert.deepEqual(effects("SELECT set_config('Work_Mem', '1MB', false)"), [
      { kind: 'set', name: 'work_mem', values: ['1MB'], isLocal: false },
    ]);
    assert.deepEqual(effects('SET synchronous_commit = off'), [
      { kind: 'set', name: 'synchronous_commit', values: ['off'], isLocal: false },
    ]);
    assert.deepEqual(effects('SET TRANSACTION READ ONLY'), [
      { kind: 'transaction-mode', scope: 'transaction', mode: { isReadOnly: true, isolation: null } },
    ]);
    assert.deepEqual(effects('DISCARD TEMP'), [{ kind: 'discard', what: 'temporary' }]);
    assert.deepEqual(effects('CREATE UNLOGGED TABLE x (a int)'), [{ kind: 'unlogged-table' }]);
    assert.deepEqual(effects('UNLISTEN *'), [{ kind: 'unlisten', channel: null }]);
    assert.deepEqual(effects('DECLARE c CURSOR FOR SELECT 1'), [{ kind: 'declare', name: 'c', isHeld: false }]);
  });

  test('settings of the router stay with the router', () => {
    const { node, effects } = classify("SET LOCAL understudy.level = 'bounded(5)'");
    assert.equal(node, 'router');
    assert.deepEqual(effects, [
      { kind: 'router-setting', name: 'understudy.level', value: 'bounded(5)', isLocal: true },
    ]);
    assert.equal(classify('SHOW understudy.token').node, 'router');
    assert.equal(classify('RESET understudy.route').node, 'router');
  });
});

test('a definition says that the facts are old', () => {
  assert.equal(classify('CREATE VIEW v AS SELECT 1').changesSchema, true);
  assert.equal(classify('ALTER FUNCTION price(int) VOLATILE').changesSchema, true);
  assert.equal(classify('INSERT INTO t VALUES (1)').changesSchema, false);
});
