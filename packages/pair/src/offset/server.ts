import { readFile } from 'node:fs/promises';
import { reasonOf } from '@understudy/base';
import { type Dialect, dialectOf, type Row, ServerSession, type Session } from '@understudy/mysql/parts';
import { PairError } from '../errors.ts';
import type { ReplicaFacts, ReplicaThread, ServerFacts } from './facts.ts';
import type { Login } from './login.ts';
import { positionOf } from './position.ts';

const connectTimeoutMs = 10_000;
const queryTimeoutMs = 10_000;
const tablesNamed = 5;
const ownSchemas = "'mysql', 'sys', 'information_schema', 'performance_schema'";

/** One of two servers that somebody else runs, and a connection to it. */
export class OffsetServer {
  readonly name: string;
  readonly login: Login;
  readonly session: ServerSession;
  readonly dialect: Dialect;
  readonly flavour: 'mysql' | 'mariadb';
  readonly version: string;

  private constructor(name: string, login: Login, session: ServerSession, dialect: Dialect, product: string) {
    this.name = name;
    this.login = login;
    this.session = session;
    this.dialect = dialect;
    this.flavour = /mariadb/i.test(product) ? 'mariadb' : 'mysql';
    this.version = /^\d+\.\d+\.\d+/.exec(product)?.[0] ?? '0.0.0';
  }

  /**
   * Connects, and finds out how the server is spoken to.
   *
   * @throws PairError `OFFSET_REFUSED` when it cannot be reached, or refuses the login.
   */
  static async connect(name: string, login: Login): Promise<OffsetServer> {
    const session = await openSession(login).catch((error: unknown) => {
      const text = `The ${name} cannot be used: ${reasonOf(error)} Correct its address, its account or its password.`;
      throw new PairError('OFFSET_REFUSED', text, { cause: error });
    });
    try {
      const [row] = await session.query('SELECT VERSION() AS version', [], queryTimeoutMs);
      const names = await session.query('SHOW GLOBAL VARIABLES', [], queryTimeoutMs);
      const catalog = new Set(names.map(({ Variable_name: each }) => each ?? ''));
      const product = row?.version ?? '';
      const dialect = dialectOf(catalog, /^\d+\.\d+\.\d+/.exec(product)?.[0] ?? '0.0.0');
      return new OffsetServer(name, login, session, dialect, product);
    } catch (error) {
      await session.end();
      throw error;
    }
  }

  /** A second connection. The caller ends it. */
  open(): Promise<ServerSession> {
    return openSession(this.login);
  }

  get address(): string {
    return `${this.login.host}:${this.login.port}`;
  }

  async close(): Promise<void> {
    await this.session.end();
  }
}

/** Opens a session. @throws EngineError */
export async function openSession(login: Login): Promise<ServerSession> {
  const { host, port, user, password, ca, plain } = login;
  const tls = ca === undefined ? null : { ca: await readFile(ca.file, 'utf8'), own: null, verify: ca.verify };
  return ServerSession.open({ at: { kind: 'tcp', host, port }, user, password, tls, plain }, connectTimeoutMs);
}

/** Everything that the checks want to know of a server. @throws EngineError */
export async function readFacts({
  name,
  login,
  session,
  dialect,
  flavour,
  version,
}: OffsetServer): Promise<ServerFacts> {
  const variables = new Map(
    (await session.query('SHOW GLOBAL VARIABLES', [], queryTimeoutMs)).map((row) => [
      row.Variable_name ?? '',
      row.Value ?? '',
    ]),
  );
  const at = (...names: readonly string[]): string =>
    names.map((each) => variables.get(each)).find((each) => each !== undefined) ?? '';
  const logBin = at('log_bin') === 'ON' ? 'on' : 'off';
  const [status] = logBin === 'on' ? await session.query(dialect.logStatus, [], queryTimeoutMs) : [];
  const files = logBin === 'on' ? await session.query('SHOW BINARY LOGS', [], queryTimeoutMs) : [];
  const [dumps] = await session.query(
    "SELECT COUNT(*) AS n FROM information_schema.processlist WHERE command LIKE 'Binlog Dump%'",
    [],
    queryTimeoutMs,
  );
  const tables = await session.query(
    `SELECT CONCAT(table_schema, '.', table_name, ' (', engine, ')') AS t FROM information_schema.tables
      WHERE table_type = 'BASE TABLE' AND engine <> 'InnoDB' AND table_schema NOT IN (${ownSchemas}) LIMIT ${tablesNamed}`,
    [],
    queryTimeoutMs,
  );
  return {
    name,
    host: login.host,
    port: login.port,
    flavour,
    version,
    serverId: Number(at('server_id')),
    uuid: variables.get('server_uuid') ?? null,
    gtidMode: variables.get('gtid_mode') ?? null,
    logBin,
    binlogFormat: at('binlog_format'),
    rowImage: at('binlog_row_image'),
    logsUpdates: at('log_replica_updates', 'log_slave_updates') === 'ON' ? 'yes' : 'no',
    writes: ['OFF', '0'].includes(at('read_only')) ? 'open' : 'closed',
    logFilters: ['Binlog_Do_DB', 'Binlog_Ignore_DB']
      .filter((each) => (status?.[each] ?? '') !== '')
      .map((each) => `${each}=${status?.[each]}`),
    otherEngines: tables.map(({ t }) => t ?? ''),
    schemas: await readSchemas(session),
    end: positionOf(status?.File, status?.Position),
    files: files.map((row) => ({ name: row.Log_name ?? '', sizeBytes: BigInt(row.File_size ?? '0') })),
    dumps: Number(dumps?.n ?? 0),
    replica: await readReplica(session, dialect),
  };
}

/** Names of the schemas of applications. */
export async function readSchemas(session: Session): Promise<readonly string[]> {
  const rows = await session.query(
    `SELECT schema_name AS s FROM information_schema.schemata WHERE schema_name NOT IN (${ownSchemas}) ORDER BY schema_name`,
    [],
    queryTimeoutMs,
  );
  return rows.map(({ s }) => s ?? '');
}

const filterNames = [
  'Do_DB',
  'Ignore_DB',
  'Do_Table',
  'Ignore_Table',
  'Wild_Do_Table',
  'Wild_Ignore_Table',
  'Rewrite_DB',
];

/** How a server receives; null when it does not. */
export async function readReplica(
  session: Session,
  { channelStatus, columns, change }: Dialect,
): Promise<ReplicaFacts | null> {
  const [row] = await session.query(channelStatus, [], queryTimeoutMs);
  if (row === undefined) return null;
  const word = change.prefix === 'SOURCE' ? 'Source' : 'Master';
  return {
    sourceHost: row[columns.host] ?? '',
    sourcePort: Number(row[columns.port]),
    receiver: threadOf(row, row[columns.io] ?? '', 'IO'),
    applier: threadOf(row, row[columns.sql] ?? '', 'SQL'),
    received: positionOf(row[`${word}_Log_File`], row[columns.readPos]),
    executed: positionOf(row[`Relay_${word}_Log_File`], row[`Exec_${word}_Log_Pos`]),
    behindS: row[`Seconds_Behind_${word}`] == null ? null : Number(row[`Seconds_Behind_${word}`]),
    usesGtids: row.Auto_Position === '1' || ['Slave_Pos', 'Current_Pos'].includes(row.Using_Gtid ?? '') ? 'yes' : 'no',
    filters: filterNames
      .map((each) => `Replicate_${each}`)
      .filter((each) => (row[each] ?? '') !== '')
      .map((each) => `${each}=${row[each]}`),
  };
}

function threadOf(row: Row, state: string, thread: 'IO' | 'SQL'): ReplicaThread {
  const number = Number(row[`Last_${thread}_Errno`] ?? 0);
  return {
    state: state === 'Yes' ? 'running' : ['Connecting', 'Preparing'].includes(state) ? 'connecting' : 'stopped',
    error:
      number === 0 ? null : { number, text: (row[`Last_${thread}_Error`] ?? '').replaceAll(/\s+/g, ' ').slice(0, 600) },
  };
}
