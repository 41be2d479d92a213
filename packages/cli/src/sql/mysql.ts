import { codeOf } from '@understudy/base';
import { isLoopback } from '@understudy/engine/host';
import { answersFor, takeHandshake } from '@understudy/mysql/login';
import driver from 'mysql2';
import type mysql from 'mysql2/promise';
import { type Login, loginRefused, passwordWithheld } from './login.ts';
import { type Driver, goodbyeMs, type Host, type Result, type Session } from './session.ts';

/** Numbers of errors by which the server ends a session or a statement; they can come after the commit was written. */
const endings = new Set([1053, 1077, 1079, 1152, 1184, 1317, 1927, 3024, 3169, 4031]);
const accessDenied = 1045;

export const mysqlDriver: Driver = {
  probe: {
    create:
      'create table if not exists understudy_probe (run char(36), n bigint, at timestamp(6) default current_timestamp(6), primary key (run, n))',
    insert: 'insert into understudy_probe (run, n) values (?, ?)',
    select: 'select n from understudy_probe where run = ?',
    drop: 'drop table if exists understudy_probe',
  },
  connect: openSession,
  isRefusal: (error) => {
    const number = numberOf(error);
    return number !== null && !endings.has(number);
  },
};

/** The number of a server's error; null when it was not the server that spoke (its errors begin at 1000, the client's at 2000). */
function numberOf(error: unknown): number | null {
  if (!(error instanceof Error) || !('errno' in error) || typeof error.errno !== 'number') return null;
  const { errno } = error;
  return errno >= 1000 && (errno < 2000 || errno >= 3000) ? errno : null;
}

async function openSession(host: Host, login: Login, timeoutMs: number): Promise<Session> {
  const ca = host.socket === undefined ? login.ca : null;
  // As an agent's session: the certificate names the host, and the password goes to nobody who asks for it otherwise than our servers do.
  const reach =
    ca !== null || host.socket !== undefined ? 'proven' : isLoopback(host.host) ? 'this machine' : 'nowhere';
  try {
    const connection = driver.createConnection({
      ...(host.socket === undefined ? { host: host.host, port: host.port } : { socketPath: host.socket }),
      user: login.user,
      database: login.database,
      ...(login.password === null ? {} : { password: login.password }),
      ...(ca === null ? {} : { ssl: { ca, verifyIdentity: true } }),
      authPlugins: answersFor(reach),
      connectTimeout: timeoutMs,
      charset: 'utf8mb4',
      dateStrings: true,
      supportBigNumbers: true,
      bigNumberStrings: true,
      multipleStatements: true,
    });
    // A connection that breaks is noticed by whoever uses it next.
    connection.on('error', () => undefined);
    const tls = ca === null ? null : { ca, own: null, verify: login.verify ?? 'full' };
    const handshake = tls === null ? null : takeHandshake(connection, host.host, tls);
    await connected(connection);
    if (handshake?.() === 'not made') throw new Error('the driver made a connection without the handshake of TLS');
    return sessionOf(host, connection.promise());
  } catch (error) {
    if (error instanceof Error && codeOf(error) === 'PASSWORD_WITHHELD') {
      throw passwordWithheld(login.user, `${host.host}:${host.port}`, error);
    }
    throw numberOf(error) === accessDenied ? loginRefused(login.user, error) : error;
  }
}

function connected(connection: driver.Connection): Promise<void> {
  return new Promise((resolve, reject) => {
    connection.connect((error) => {
      if (error === null) return resolve();
      connection.destroy();
      reject(error);
    });
  });
}

function sessionOf(host: Host, connection: mysql.Connection): Session {
  const query: Session['query'] = async (text, values) => {
    const [rows] = await connection.query<mysql.RowDataPacket[]>(text, [...values]);
    return Array.isArray(rows) ? rows : [];
  };
  return {
    host,
    query,
    run: async (text) => {
      const [answers, fields] = await connection.query({ sql: text, rowsAsArray: true });
      return resultsOf(answers, fields);
    },
    isWritable: async () => {
      const [row] = await query('select @@global.read_only as read_only', []);
      return ['0', 'OFF'].includes(String(row?.read_only));
    },
    close: async () => {
      const ended = connection.end().catch(() => undefined);
      const late = new Promise<void>((resolve) => {
        setTimeout(resolve, goodbyeMs).unref();
      });
      await Promise.race([ended, late]);
      connection.destroy();
    },
  };
}

/** The driver answers one statement with its rows, and several with a list of such. */
function resultsOf(answers: unknown, fields: unknown): Result[] {
  const isList = Array.isArray(fields) && fields.some((each) => each === undefined || Array.isArray(each));
  if (!isList || !Array.isArray(answers)) return [resultOf(answers, fields)];
  return answers.map((answer: unknown, index) => resultOf(answer, fields[index]));
}

function resultOf(answer: unknown, fields: unknown): Result {
  if (Array.isArray(answer) && Array.isArray(fields)) {
    const columns = fields.map((field: unknown) => textOf(field, 'name'));
    const rows = answer.map((row: unknown): unknown[] => (Array.isArray(row) ? row : []));
    return { command: 'SELECT', rowCount: rows.length, columns, rows };
  }
  const affected: unknown = typeof answer === 'object' && answer !== null ? Reflect.get(answer, 'affectedRows') : null;
  return { command: 'OK', rowCount: typeof affected === 'number' ? affected : null, columns: [], rows: [] };
}

function textOf(value: unknown, key: string): string {
  return typeof value === 'object' && value !== null ? String(Reflect.get(value, key)) : '';
}
