/** The tables of the local store, how a file becomes one, and how a foreign file is told from one. */

import { randomBytes } from 'node:crypto';
import type { DatabaseSync } from 'node:sqlite';
import { StoreError } from '../errors.ts';

/** Written into the header of every store file: "UStd". */
const APPLICATION_ID = 0x55537464;
const SCHEMA_VERSION = 1;

/** Pages are 4 KiB: the log is folded into the file after about 1 MB, and cut back to that size. */
const PRAGMAS = `
  PRAGMA synchronous = FULL;
  PRAGMA wal_autocheckpoint = 256;
  PRAGMA journal_size_limit = 1048576;
  PRAGMA trusted_schema = OFF;
`;

const TABLES = `
  CREATE TABLE meta (
    only INTEGER PRIMARY KEY CHECK (only = 1),
    store_id TEXT NOT NULL,
    revision INTEGER NOT NULL,
    boot_id TEXT NOT NULL
  ) STRICT;
  CREATE TABLE kv (
    cluster TEXT NOT NULL,
    key TEXT NOT NULL,
    value BLOB NOT NULL,
    create_revision INTEGER NOT NULL,
    mod_revision INTEGER NOT NULL,
    lease TEXT,
    PRIMARY KEY (cluster, key)
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX kv_lease ON kv (lease) WHERE lease IS NOT NULL;
  CREATE TABLE lease (
    id TEXT PRIMARY KEY,
    ttl_ms INTEGER NOT NULL,
    expires_ms INTEGER NOT NULL
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX lease_expiry ON lease (expires_ms);
`;

/**
 * Makes the open database ready: checks that it is ours, switches it to write-ahead logging, creates the tables in a
 * new file, and ends all leases of an earlier boot. Can be run by several processes at once and again after a crash.
 * Throws StoreError for a foreign or newer file, and SQLite's own error (busy among them) otherwise.
 */
export function prepareSchema(db: DatabaseSync, path: string, bootId: string): void {
  const state = inspectAtOnce(db, path);
  db.exec('PRAGMA journal_mode = WAL');
  db.exec(PRAGMAS);
  if (state === 'ours' && db.prepare('SELECT 1 FROM meta WHERE boot_id = ?').get(bootId) !== undefined) return;
  db.exec('BEGIN IMMEDIATE');
  try {
    // Looked at again under the lock: another process may have been faster.
    if (inspect(db, path) === 'empty') create(db, bootId);
    else endLeasesOfEarlierBoot(db, bootId);
    db.exec('COMMIT');
  } catch (error) {
    if (db.isTransaction) db.exec('ROLLBACK');
    throw error;
  }
}

/** In one snapshot: between two questions another process may make the store. */
function inspectAtOnce(db: DatabaseSync, path: string): 'ours' | 'empty' {
  db.exec('BEGIN');
  try {
    return inspect(db, path);
  } finally {
    if (db.isTransaction) db.exec('ROLLBACK');
  }
}

function inspect(db: DatabaseSync, path: string): 'ours' | 'empty' {
  const applicationId = pragma(db, 'application_id');
  const version = pragma(db, 'user_version');
  if (applicationId === 0 && version === 0 && pragma(db, 'page_count') <= 1 && isEmpty(db)) return 'empty';
  if (applicationId !== APPLICATION_ID) {
    throw new StoreError(
      'not-a-store',
      `Local store ${path}: this is some other SQLite database and was not touched.`,
      { next: 'Correct store.path.' },
    );
  }
  if (version > SCHEMA_VERSION) {
    throw new StoreError(
      'schema-too-new',
      `Local store ${path}: has schema ${version}, this Understudy knows ${SCHEMA_VERSION}.`,
      { next: 'Upgrade Understudy.' },
    );
  }
  return 'ours';
}

function isEmpty(db: DatabaseSync): boolean {
  return db.prepare('SELECT 1 FROM sqlite_schema LIMIT 1').get() === undefined;
}

function pragma(db: DatabaseSync, name: 'application_id' | 'user_version' | 'page_count'): number {
  const value = db.prepare(`PRAGMA ${name}`).get()?.[name];
  return typeof value === 'number' ? value : 0;
}

function create(db: DatabaseSync, bootId: string): void {
  db.exec(TABLES);
  const storeId = randomBytes(16).toString('hex');
  db.prepare('INSERT INTO meta (only, store_id, revision, boot_id) VALUES (1, ?, 1, ?)').run(storeId, bootId);
  db.exec(`PRAGMA user_version = ${SCHEMA_VERSION}`);
  db.exec(`PRAGMA application_id = ${APPLICATION_ID}`);
}

/** Expiry times are of the monotonic clock of one boot; after another boot every lease has run out. */
function endLeasesOfEarlierBoot(db: DatabaseSync, bootId: string): void {
  const changed = db.prepare('UPDATE meta SET boot_id = ? WHERE boot_id <> ?').run(bootId, bootId);
  if (changed.changes === 0) return;
  db.exec('DELETE FROM lease');
  const deleted = db.prepare('DELETE FROM kv WHERE lease IS NOT NULL').run();
  if (deleted.changes !== 0) db.exec('UPDATE meta SET revision = revision + 1');
}
