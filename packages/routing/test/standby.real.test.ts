/**
 * Goal: what is classed as a read runs on a standby, and what a standby refuses is recognised. Method: facts from the catalogue of a real
 * database, whose server then becomes a hot standby; named and generated statements run there.
 */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { lsn, parseLsn } from '@understudy/core';
import fc from 'fast-check';
import type pg from 'pg';
import {
  afterReplicaError,
  buildPgCatalog,
  createPgClassifier,
  DEFAULT_PG_SESSION,
  endOfWal,
  PG_CATALOG_QUERIES,
  type PgCatalogRows,
  type PgClassifier,
} from '../src/index.ts';
import { loadPgGrammar } from '../src/runtime/index.ts';
import { TestServer } from './support/server.ts';
import { aStatement } from './support/sql.ts';

const SCHEMA = `
  CREATE TABLE t (a int, b text);
  CREATE TABLE u (a int, b text);
  INSERT INTO t SELECT n, 'x' FROM generate_series(1, 20) AS n;
  CREATE UNLOGGED TABLE scratch (a int);
  CREATE SEQUENCE seq;
  CREATE TABLE counters (n int);
  CREATE FUNCTION price(int) RETURNS int LANGUAGE sql STABLE AS 'SELECT $1 + 1';
  CREATE FUNCTION bump() RETURNS int LANGUAGE plpgsql AS 'BEGIN UPDATE counters SET n = n + 1; RETURN 1; END';
  CREATE FUNCTION bump(t) RETURNS int LANGUAGE sql AS 'SELECT public.bump()';
  CREATE FUNCTION sly() RETURNS int LANGUAGE sql STABLE AS 'SELECT 1 FROM pg_advisory_xact_lock(1)';
  CREATE FUNCTION modern() RETURNS int LANGUAGE sql BEGIN ATOMIC SELECT bump(); END;
  CREATE FUNCTION leaks() RETURNS int LANGUAGE plpgsql AS 'BEGIN SET work_mem = ''1MB''; RETURN 1; END';
  CREATE FUNCTION check_it(text) RETURNS bool LANGUAGE plpgsql AS 'BEGIN PERFORM bump(); RETURN true; END';
  CREATE FUNCTION less(int, int) RETURNS bool LANGUAGE plpgsql AS 'BEGIN PERFORM bump(); RETURN true; END';
  CREATE OPERATOR <<!>> (FUNCTION = less, LEFTARG = int, RIGHTARG = int);
  CREATE AGGREGATE counting(int) (SFUNC = counting_step, STYPE = int);
  CREATE DOMAIN checked AS text CHECK (check_it(VALUE));
  CREATE VIEW plain_view AS SELECT a, b FROM t;
  CREATE VIEW counting_view AS SELECT bump() AS a, 'x' AS b;
  CREATE TABLE tenants (a int, owner text);
  ALTER TABLE tenants ENABLE ROW LEVEL SECURITY;
  CREATE POLICY own ON tenants USING (owner = current_setting('app.user', true));
`.replace(
  'CREATE AGGREGATE',
  "CREATE FUNCTION counting_step(int, int) RETURNS int LANGUAGE plpgsql AS 'BEGIN PERFORM bump(); RETURN 1; END';\n  CREATE AGGREGATE",
);

let server: TestServer;
let client: pg.Client;
let classifier: PgClassifier;
const boundaries: { readonly inserted: string; readonly flushed: string }[] = [];

before(async () => {
  server = await TestServer.make();
  await server.start();
  client = await server.connect();
  await client.query(SCHEMA);
  classifier = createPgClassifier(await loadPgGrammar(), buildPgCatalog(await rowsOf(client)));
  boundaries.push(...(await endsOfPages(client)));
  await client.end();
  await server.becomeStandby();
  client = await server.connect();
});

after(async () => {
  await client?.end();
  await server?.remove();
});

async function rowsOf(from: pg.Client): Promise<PgCatalogRows> {
  const rows: Record<string, unknown> = {};
  for (const [name, text] of Object.entries(PG_CATALOG_QUERIES)) rows[name] = (await from.query(text)).rows;
  return rows as unknown as PgCatalogRows;
}

/** Writes records until some end with their page; says what both functions call the end then. */
async function endsOfPages(from: pg.Client): Promise<{ inserted: string; flushed: string }[]> {
  const found: { inserted: string; flushed: string }[] = [];
  let chars = 100;
  for (let attempt = 0; attempt < 400 && found.length < 3; attempt += 1) {
    // In a transaction: its commit waits until all of it is flushed.
    await from.query("SELECT pg_logical_emit_message(true, '', repeat('x', $1::int))", [chars]);
    const { rows } = await from.query<{ inserted: string; flushed: string }>(
      'SELECT pg_current_wal_insert_lsn()::text AS inserted, pg_current_wal_lsn()::text AS flushed',
    );
    const [row] = rows;
    const at = Number((parseLsn(row?.inserted ?? '') ?? 0n) % 8192n);
    if (row !== undefined && at === 24) found.push(row);
    // The next commit is to end where the page does: its records have about a hundred bytes besides.
    chars = Math.max(1, 8192 - at - 136 + 8 * (Math.floor(attempt / 2) % 12));
  }
  return found;
}

const nodeOf = (text: string) => {
  const { node, reason, detail } = classifier.classify(text, DEFAULT_PG_SESSION);
  return node === 'any' ? 'any' : `${node}: ${reason} ${detail}`.trim();
};

const codeOf = async (text: string): Promise<{ sqlState: string; message: string }> =>
  client.query(text).then(
    () => ({ sqlState: '00000', message: '' }),
    (error: unknown) => ({
      sqlState: error instanceof Error && 'code' in error ? String(error.code) : 'XX000',
      message: error instanceof Error ? error.message : '',
    }),
  );

describe('facts of a real database', () => {
  const reads = [
    'SELECT count(*), sum(a), max(b) FROM t GROUP BY b ORDER BY 1',
    "SELECT price(a), a::text, now(), random(), a BETWEEN 1 AND 2, b LIKE 'x%', b ~ 'x' FROM t WHERE a IN (1, 2)",
    "SELECT to_char(now(), 'YYYY'), '{\"a\": 1}'::jsonb ->> 'a', ARRAY[1, 2] @> ARRAY[1], date '2020-01-01' + interval '1 day'",
    'SELECT * FROM plain_view JOIN u USING (a)',
    'SELECT * FROM tenants',
    'SELECT row_number() OVER (ORDER BY a), lag(a) OVER (ORDER BY a) FROM t',
    'SELECT c.relname, n.nspname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE pg_table_is_visible(c.oid)',
    'SELECT column_name FROM information_schema.columns',
    'SELECT tablename FROM pg_tables',
    'WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r WHERE n < 5) SELECT sum(n) FROM r',
    'COPY (SELECT a FROM t) TO STDOUT',
    'EXPLAIN ANALYZE SELECT * FROM t',
  ];
  for (const text of reads) {
    test(`${text.slice(0, 70)}: a read, and a standby runs it`, async () => {
      assert.equal(nodeOf(text), 'any');
      if (!text.startsWith('COPY')) assert.deepEqual(await codeOf(text), { sqlState: '00000', message: '' });
    });
  }

  const others: readonly (readonly [string, string])[] = [
    ['SELECT bump()', 'primary: function-volatile bump'],
    ['SELECT sly()', 'primary: function-volatile sly'],
    ['SELECT modern()', 'primary: function-volatile modern'],
    ['SELECT counting(a) FROM t', 'primary: function-volatile counting'],
    ['SELECT t.bump FROM t', 'primary: function-volatile bump'],
    ['SELECT 1 <<!>> 2', 'primary: operator-doubtful <<!>>'],
    ["SELECT 'x'::checked", 'primary: type-doubtful checked'],
    ['SELECT * FROM counting_view', 'primary: view-doubtful counting_view'],
    ['SELECT * FROM scratch', 'primary: relation-unlogged scratch'],
    ['SELECT last_value FROM seq', 'primary: sequence seq'],
    ['SELECT * FROM pg_stat_activity', 'primary: relation-of-node pg_stat_activity'],
  ];
  for (const [text, expected] of others) test(`${text}: ${expected}`, () => assert.equal(nodeOf(text), expected));

  test('what a function leaves behind is found in its body', () => {
    assert.deepEqual(classifier.classify('SELECT leaks()', DEFAULT_PG_SESSION).pins, ['function-state']);
  });
});

test('no generated statement that is classed as a read is refused by a standby', { timeout: 120_000 }, async () => {
  let ran = 0;
  for (const { text } of fc.sample(aStatement, 400)) {
    const written = text.replaceAll('«n»', '7').replaceAll('$1', '1');
    if (nodeOf(written) !== 'any' || written.startsWith('COPY')) continue;
    const { sqlState, message } = await codeOf(written);
    const error = { sqlState, message, severity: 'ERROR' };
    assert.equal(
      afterReplicaError(error, { isAlone: true, hasSchema: true }),
      'pass',
      `${written}: ${sqlState} ${message}`,
    );
    ran += 1;
  }
  assert.ok(ran > 50, String(ran));
});

describe('what a standby refuses', () => {
  const refused = [
    'INSERT INTO t VALUES (1)',
    "SELECT nextval('seq')",
    'SELECT * FROM t FOR UPDATE',
    'SELECT txid_current()',
    'SELECT bump()',
    'CREATE TABLE x (a int)',
    'LISTEN a',
    'LOCK TABLE t IN EXCLUSIVE MODE',
    'SELECT * FROM scratch',
    'CREATE TEMP TABLE x (a int)',
  ];
  for (const text of refused) {
    test(`${text}: is known for a refusal`, async () => {
      const { sqlState, message } = await codeOf(text);
      const error = { sqlState, message, severity: 'ERROR' };
      assert.equal(
        afterReplicaError(error, { isAlone: true, hasSchema: true }),
        'rerun-and-learn',
        `${sqlState} ${message}`,
      );
      assert.notEqual(nodeOf(text), 'any');
    });
  }

  test('and what it does without a word, though it is wrong', async () => {
    for (const text of ['SELECT pg_advisory_lock(1)', 'SELECT pg_backend_pid()', 'SELECT sly()']) {
      assert.equal((await codeOf(text)).sqlState, '00000', text);
      assert.notEqual(nodeOf(text), 'any');
    }
  });
});

test('where a record ends with its page, the end of the log is what was written', () => {
  assert.ok(boundaries.length > 0, 'no record ended with its page');
  for (const { inserted, flushed } of boundaries) {
    assert.notEqual(inserted, flushed);
    assert.equal(endOfWal(parseLsn(inserted) ?? lsn(0n), 16 * 1024 * 1024), parseLsn(flushed));
  }
});
