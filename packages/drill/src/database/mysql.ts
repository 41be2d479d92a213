import { monotonicMs, pause } from '@understudy/base';
import { mysqlSocketOf } from '@understudy/local';
import { companyDatabase, type Database, drillDatabase, drillRole, employees, insertedOf } from './database.ts';
import { countGtids, lineOfMariadb, lineOfMysql, sequenceOf } from './gtids.ts';
import { MysqlSession } from './mysql-session.ts';
import { type Row, type Session, textOf } from './session.ts';
import { unappliedRelayLog } from './unapplied.ts';

/** What MySQL and MariaDB call differently. */
interface Spelling {
  /** One row with `read_only` and `gtids`, the server's own position, and what else {@link lineOf} reads. */
  readonly question: string;
  readonly lineOf: (row: Row) => number | null;
  /** The word for a replica in statements. */
  readonly replica: 'replica' | 'slave';
  /** What position `at` lacks of `end`, in words; null: nothing. */
  readonly lacks: (session: Session, at: string, end: string) => Promise<string | null>;
}

const mysql: Spelling = {
  replica: 'replica',
  question:
    'select @@global.read_only as read_only, @@global.gtid_executed as gtids, (select min(cluster) from understudy.`lines`) as cluster',
  lineOf: ({ gtids, cluster }) =>
    typeof gtids === 'string' && typeof cluster === 'string' ? lineOfMysql(gtids, cluster) : null,
  lacks: async (session, at, end) => {
    const lacking = textOf(await session.rows('select gtid_subtract(?, ?) as lacking', [end, at]), 'lacking');
    return lacking === '' ? null : `${countGtids(lacking)} transactions (${lacking.replaceAll(/\s/g, '')})`;
  },
};

const mariadb: Spelling = {
  replica: 'slave',
  question: 'select @@global.read_only as read_only, @@global.gtid_binlog_pos as gtids',
  lineOf: ({ gtids }) => (typeof gtids === 'string' ? lineOfMariadb(gtids) : null),
  lacks: async (_session, at, end) => {
    const [have, want] = [sequenceOf(at) ?? -1n, sequenceOf(end) ?? -1n];
    return have >= want ? null : `what comes after ${at || 'nothing'}, up to ${end}`;
  },
};

const tables = [
  'create table if not exists ids (id bigint primary key, writer int not null, node varchar(64) not null)',
  'create table if not exists marks (mark bigint auto_increment primary key)',
];

const columns = {
  ids: ['id', 'writer', 'node'],
  Employees: ['id', 'first_name', 'salary', 'department'],
};

const reachEveryMs = 10;

export const mysqlDatabase: Database = databaseOf(mysql);
export const mariadbDatabase: Database = databaseOf(mariadb);

function databaseOf(spelling: Spelling): Database {
  const ask = async (session: Session, timeoutMs?: number): Promise<Row> =>
    (await session.rows(spelling.question, [], timeoutMs))[0] ?? {};
  const isClosed = (row: Row): boolean => !['0', 'OFF'].includes(String(row.read_only));

  /** Why the server has not applied `end` yet; null when it has. */
  const missing = async (session: Session, row: Row, end: string): Promise<string | null> => {
    const lacking = await spelling.lacks(session, String(row.gtids ?? ''), end);
    return lacking === null ? null : `has not applied ${lacking}`;
  };

  return {
    adminDatabase: 'mysql',
    numbered: 'auto_increment',
    placeholder: () => '?',
    open: (target, timeoutMs) => MysqlSession.open(target, timeoutMs),
    socketHost: (address) => mysqlSocketOf(address),

    async insert(session, { id, writer }, timeoutMs) {
      const text = 'insert into ids (id, writer, node) values (?, ?, ?)';
      const answer = await session.run({ text, values: [id, writer, session.target.node] }, timeoutMs);
      const completeMs = monotonicMs();
      if (answer.kind === 'error' || !(session instanceof MysqlSession)) return insertedOf(answer, null, completeMs);
      // Asked after the first write that succeeded: from then on this server is what it is until it ends.
      session.line ??= spelling.lineOf(await ask(session, timeoutMs).catch((): Row => ({})));
      return insertedOf(answer, session.line, completeMs);
    },

    async look(session, timeoutMs) {
      const answer = await session.run({ text: spelling.question }, timeoutMs);
      const row = answer.kind === 'rows' ? answer.rows[0] : undefined;
      if (row === undefined) return null;
      return isClosed(row)
        ? { state: 'read-only', timeline: null }
        : { state: 'writable', timeline: spelling.lineOf(row) };
    },

    async createRole(admin, password) {
      await admin.rows(`create database ${drillDatabase}`);
      for (const host of ['%', 'localhost']) {
        await admin.rows('create user ?@? identified by ?', [drillRole, host, password]);
        await admin.rows(`grant select, insert on ${drillDatabase}.* to ?@?`, [drillRole, host]);
        await admin.rows('grant select on understudy.* to ?@?', [drillRole, host]);
      }
    },

    async createTables(session) {
      for (const statement of tables) await session.rows(statement);
    },

    async createCompany(admin) {
      await admin.rows(`create database ${companyDatabase}`);
    },

    async loadCompany(session) {
      await session.rows(
        `create table Employees (
           id int auto_increment primary key, first_name varchar(50) not null, salary decimal(10, 2) not null, department varchar(50) not null
         )`,
      );
      for (const row of employees) await session.rows('insert into Employees values (?, ?, ?, ?)', [...row]);
    },

    end: async (session) => String((await ask(session)).gtids ?? ''),

    async behind(session, end) {
      const row = await ask(session);
      return isClosed(row) ? missing(session, row, end) : 'is not a replica';
    },

    async mark(session, timeoutMs) {
      await session.rows('insert into marks () values ()', [], timeoutMs);
      return String((await ask(session)).gtids ?? '');
    },

    async reach(session, mark, timeoutMs) {
      const endMs = monotonicMs() + timeoutMs;
      for (;;) {
        const problem = await missing(session, await ask(session), mark);
        if (problem === null) return;
        if (monotonicMs() > endMs) throw new Error(`${session.target.node} ${problem}`);
        await pause(reachEveryMs);
      }
    },

    async stopApplying(session) {
      await session.rows(`stop ${spelling.replica} sql_thread`);
    },

    async closeReceived(session) {
      await session.rows('flush relay logs');
    },

    unapplied: async (session, dataDir) =>
      unappliedRelayLog((await session.rows(`show ${spelling.replica} status`))[0], dataDir),

    async idsFrom(session, fromId, timeoutMs) {
      const rows = await session.rows('select id from ids where id >= ?', [fromId], timeoutMs);
      return new Set(rows.map((row) => Number(row.id)));
    },

    async contentOf(session, table, timeoutMs) {
      const all = columns[table].join(', ');
      const rows = await session.rows(
        `select count(*) as number, coalesce(sum(crc32(concat_ws('|', ${all}))), 0) as sum from ${table}`,
        [],
        timeoutMs,
      );
      return `${textOf(rows, 'number')} rows, sum ${textOf(rows, 'sum')}`;
    },

    async databases(admin) {
      const rows = await admin.rows(
        `select schema_name as name from information_schema.schemata
          where schema_name not in ('mysql', 'sys', 'information_schema', 'performance_schema') order by 1`,
      );
      return rows.map(({ name }) => String(name));
    },

    async checksums(session, timeoutMs) {
      const tables = await session.rows(
        "select table_name as name from information_schema.tables where table_schema = database() and table_type = 'BASE TABLE'",
      );
      const found = new Map<string, string>();
      for (const { name } of tables) {
        const rows = await session.rows(`checksum table \`${String(name)}\` extended`, [], timeoutMs);
        found.set(String(name), textOf(rows, 'Checksum'));
      }
      return found;
    },

    salaries: async (session) => textOf(await session.rows('select sum(salary) as total from Employees'), 'total'),
  };
}
