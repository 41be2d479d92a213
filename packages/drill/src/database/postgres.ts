import { nowMs } from '../time.ts';
import { type Database, drillDatabase, drillRole, employees, insertedOf } from './database.ts';
import { PostgresSession } from './postgres-session.ts';
import { type Session, textOf } from './session.ts';

/** The history line that a server writes now, as a number. */
const timelineNow = `('x' || substr(pg_walfile_name(pg_current_wal_insert_lsn()), 1, 8))::bit(32)::int`;

/** Every row says which node took it in and on which history line. */
const tables = [
  `create table if not exists ids (
     id bigint primary key, writer int not null, node text not null, timeline int not null
   )`,
  `create table if not exists marks (mark bigint primary key)`,
  `grant select, insert on ids to ${drillRole}`,
];

const question = {
  name: 'watch',
  text: `select pg_is_in_recovery() as replica, current_setting('default_transaction_read_only') as read_only,
                case when pg_is_in_recovery() then null else substr(pg_walfile_name(pg_current_wal_insert_lsn()), 1, 8) end as timeline`,
};

const quoted = { ids: 'ids', Employees: '"Employees"' };

export const postgresDatabase: Database = {
  adminDatabase: 'postgres',
  open: (target, timeoutMs) => PostgresSession.open(target, timeoutMs),
  socketHost: ({ socketFolder }) => socketFolder,

  async insert(session, { id, writer }, timeoutMs) {
    const statement = {
      name: 'insert-id',
      text: `insert into ids (id, writer, node, timeline) values ($1, $2, $3, ${timelineNow}) returning timeline`,
      values: [id, writer, session.target.node],
    };
    const answer = await session.run(statement, timeoutMs);
    const timeline = answer.kind === 'rows' ? answer.rows[0]?.timeline : null;
    return insertedOf(answer, typeof timeline === 'number' ? timeline : null, nowMs());
  },

  async look(session, timeoutMs) {
    const answer = await session.run(question, timeoutMs);
    const row = answer.kind === 'rows' ? answer.rows[0] : undefined;
    if (row === undefined) return null;
    const isWritable = row.replica === false && row.read_only === 'off';
    const timeline = typeof row.timeline === 'string' ? Number.parseInt(row.timeline, 16) : null;
    return { state: isWritable ? 'writable' : 'read-only', timeline };
  },

  async createRole(admin, password) {
    // The password has no character that would have to be quoted.
    await admin.rows(`create role ${drillRole} login password '${password}'`);
    await admin.rows(`create database ${drillDatabase} owner ${drillRole}`);
  },

  async createTables(session) {
    for (const statement of tables) await session.rows(statement);
  },

  async createCompany(admin) {
    await admin.rows('create database company_db');
  },

  async loadCompany(session) {
    await session.rows(
      `create table "Employees" (
         id int primary key, first_name varchar(50) not null, salary decimal(10, 2) not null, department varchar(50) not null
       )`,
    );
    for (const row of employees) await session.rows('insert into "Employees" values ($1, $2, $3, $4)', [...row]);
  },

  async end(session) {
    await session.rows('select pg_current_wal_insert_lsn()');
    return textOf(await session.rows('select pg_current_wal_lsn()::text as lsn'), 'lsn');
  },

  async behind(session, end) {
    const rows = await session.rows(
      `select pg_is_in_recovery() as replica, (pg_last_wal_replay_lsn() >= $1::pg_lsn)::text as reached, pg_last_wal_replay_lsn()::text as at`,
      [end],
    );
    if (rows[0]?.replica !== true) return 'is not a replica';
    return textOf(rows, 'reached') === 'true' ? null : `has replayed to ${textOf(rows, 'at')}, not yet to ${end}`;
  },

  async mark(session, timeoutMs) {
    await session.rows('insert into marks (mark) select coalesce(max(mark), 0) + 1 from marks', [], timeoutMs);
    return textOf(await session.rows('select pg_current_wal_insert_lsn()::text as lsn'), 'lsn');
  },

  async reach(session, mark, timeoutMs) {
    await session.rows(waitForReplay(mark, timeoutMs), [], timeoutMs + 5000);
  },

  async idsFrom(session, fromId, timeoutMs) {
    const rows = await session.rows('select id::text as id from ids where id >= $1', [fromId], timeoutMs);
    return new Set(rows.map((row) => Number(row.id)));
  },

  async contentOf(session, table, timeoutMs) {
    const rows = await session.rows(contentSum(quoted[table]), [], timeoutMs);
    return `${textOf(rows, 'rows')} rows, sum ${textOf(rows, 'sum')}`;
  },

  salaries: async (session: Session) =>
    textOf(await session.rows('select sum(salary)::text as total from "Employees"'), 'total'),
};

const contentSum = (table: string): string =>
  `select count(*)::text as rows, coalesce(sum(hashtextextended(t::text, 0)::numeric), 0)::text as sum from ${table} t`;

/** Blocks in the server until it has replayed up to `mark`, or the time is over; a primary has. */
function waitForReplay(mark: string, timeoutMs: number): string {
  return `do $$
    declare started timestamptz := clock_timestamp();
    begin
      while pg_is_in_recovery() and pg_last_wal_replay_lsn() < '${mark}'::pg_lsn loop
        if clock_timestamp() - started > interval '${timeoutMs} milliseconds' then
          raise exception 'has not replayed up to ${mark} in time';
        end if;
        perform pg_sleep(0.01);
      end loop;
    end $$`;
}
