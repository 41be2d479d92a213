import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  accounts as ownAccounts,
  pipePrograms,
  quoteAccount,
  quoteIdentifier,
  quoteLiteral,
  type Session,
} from '@understudy/mysql/parts';
import { PairError } from '../errors.ts';
import { checkServers } from './checks.ts';
import { asksForKey, type Login } from './login.ts';
import { formatPosition, type LogPosition } from './position.ts';
import { type OffsetServer, readFacts, readReplica, readSchemas } from './server.ts';
import { attach, attachStatement, detach } from './statements.ts';
import { runSteps, type Step } from './steps.ts';
import { type Account, requireNoRefusal, waitForThreads } from './switchover.ts';

const timeoutMs = 20_000;
const copyTimeoutMs = 24 * 3600 * 1000;

/** The programs that copy; of the servers' product. */
export interface CopyPrograms {
  readonly dump: string;
  readonly client: string;
}

export interface SetupResult {
  readonly primary: string;
  readonly replica: string;
  /** Where in the primary's log the copy was made. */
  readonly from: string;
  readonly schemas: readonly string[];
  /** Accounts that were made on the replica, and those that it had under the same name. */
  readonly accounts: readonly string[];
  readonly keptAccounts: readonly string[];
}

/**
 * Makes an empty server a replica of another by file and offset: a dump in one transaction with the place at which it was made, the accounts, and
 * replication from there. The replica is closed for writes before it follows.
 *
 * @param bytes told how much has been copied. @throws PairError `OFFSET_REFUSED`, `OFFSET_UNDONE`.
 */
export async function offsetSetup(
  servers: { readonly primary: OffsetServer; readonly replica: OffsetServer },
  account: Account,
  programs: CopyPrograms,
  tell: (text: string) => void,
  bytes: (count: number) => void,
): Promise<SetupResult> {
  const { primary, replica } = servers;
  requireNoRefusal(checkServers(await readFacts(primary), await readFacts(replica), 'setup'));
  const schemas = await readSchemas(primary.session);
  if (schemas.length === 0) {
    throw new PairError('OFFSET_REFUSED', 'The primary has no schema to copy.', {
      next: 'Make the database first, then set up its replica.',
    });
  }
  const made: { from: LogPosition | null; accounts: readonly string[]; kept: readonly string[] } = {
    from: null,
    accounts: [],
    kept: [],
  };
  const steps: Step[] = [
    {
      text: `make the replication account "${account.user}" on ${primary.address} if it is missing`,
      run: () => makeAccount(primary.session, account),
      undo: async () => undefined,
    },
    {
      text: `copy ${schemas.length} schemas to ${replica.address}`,
      run: async () => {
        await point(primary, replica, account);
        await copy(primary, replica, schemas, programs, bytes);
        made.from = (await readReplica(replica.session, replica.dialect))?.received ?? null;
        if (made.from === null) throw new Error('The dump did not say at which place of the log it was made.');
      },
      undo: () => empty(replica, schemas),
    },
    {
      text: 'copy the accounts',
      run: async () => {
        const copied = await copyAccounts(primary.session, replica.session);
        made.accounts = copied.made;
        made.kept = copied.kept;
      },
      undo: () => dropAccounts(replica.session, made.accounts),
    },
    {
      text: `close ${replica.address} for writes and let it follow`,
      run: async () => {
        if (made.from === null) throw new Error('The place of the copy is not known.');
        await replica.session.query('SET GLOBAL event_scheduler = OFF', [], timeoutMs);
        await replica.session.query(replica.dialect.close.statement, [], timeoutMs);
        await attach(replica.session, replica.dialect, { source: primary.login, account, from: made.from });
        await waitForThreads(replica);
      },
      undo: async () => {
        await detach(replica.session, replica.dialect);
        await replica.session.query('SET GLOBAL read_only = OFF', [], timeoutMs);
      },
    },
  ];
  await runSteps(steps, copyTimeoutMs, tell, () => '');
  if (made.from === null) throw new PairError('OFFSET_FAILED', 'The place of the copy was not noted.');
  return {
    primary: primary.address,
    replica: replica.address,
    from: formatPosition(made.from),
    schemas,
    accounts: made.accounts,
    keptAccounts: made.kept,
  };
}

async function makeAccount(session: Session, { user, password }: Account): Promise<void> {
  const name = quoteAccount(user, '%');
  await session.query(`CREATE USER IF NOT EXISTS ${name} IDENTIFIED BY ${quoteLiteral(password)}`, [], timeoutMs);
  await session.query(`GRANT REPLICATION SLAVE ON *.* TO ${name}`, [], timeoutMs);
}

/** The dump says its place as a statement for a replica that has a source already; one without a source would not show it. Nothing is started. */
async function point(primary: OffsetServer, replica: OffsetServer, account: Account): Promise<void> {
  const { end } = await readFacts(primary);
  if (end === null) throw new Error('The primary does not say where its log ends.');
  const statement = attachStatement(replica.dialect, { source: primary.login, account, from: end });
  await replica.session.query(statement, [], timeoutMs);
}

/** The logins are in files that only we may read, and that are there as long as the copy takes. */
async function copy(
  primary: OffsetServer,
  replica: OffsetServer,
  schemas: readonly string[],
  programs: CopyPrograms,
  onBytes: (count: number) => void,
): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'understudy-copy-'));
  const file = async (name: string, { flavour, login }: OffsetServer): Promise<string> => {
    const path = join(folder, name);
    await writeFile(path, clientFile(flavour, login), { mode: 0o600 });
    return path;
  };
  const coordinates =
    primary.flavour === 'mariadb' || primary.dialect.replica === 'SLAVE' ? '--master-data=1' : '--source-data=1';
  const purged = primary.flavour === 'mysql' ? ['--set-gtid-purged=OFF'] : [];
  const what = [
    '--single-transaction',
    '--quick',
    '--routines',
    '--events',
    '--triggers',
    '--hex-blob',
    coordinates,
    ...purged,
  ];
  try {
    const dump = {
      program: programs.dump,
      args: [`--defaults-file=${await file('dump.cnf', primary)}`, ...what, '--databases', ...schemas],
    };
    const client = {
      program: programs.client,
      args: [
        `--defaults-file=${await file('load.cnf', replica)}`,
        '--binary-mode',
        '--max-allowed-packet=1G',
        '--init-command=SET sql_log_bin=0',
      ],
    };
    const { signal } = new AbortController();
    const options = {
      home: folder,
      libraryPath: undefined,
      owner: null,
      timeoutMs: copyTimeoutMs,
      signal,
      onBytes,
    } as const;
    await pipePrograms(dump, client, { ...options, failure: 'ENGINE_CLONE_FAILED' });
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** The option file of the server's own programs, which are to check what we do. */
export function clientFile(flavour: OffsetServer['flavour'], login: Login): string {
  const { host, port, user, password } = login;
  const quoted = (text: string): string => `"${text.replaceAll('\\', '\\\\').replaceAll('"', '\\"')}"`;
  return [
    '[client]',
    'protocol=tcp',
    `host=${host}`,
    `port=${port}`,
    `user=${quoted(user)}`,
    `password=${quoted(password)}`,
    ...(flavour === 'mysql' ? mysqlEncryption(login, quoted) : mariadbEncryption(login, quoted)),
    '',
  ].join('\n');
}

function mysqlEncryption(login: Login, quoted: (text: string) => string): readonly string[] {
  const { ca } = login;
  if (ca === undefined) return ['ssl-mode=DISABLED', ...(asksForKey(login) ? ['get-server-public-key'] : [])];
  return [`ssl-mode=${ca.verify === 'full' ? 'VERIFY_IDENTITY' : 'VERIFY_CA'}`, `ssl-ca=${quoted(ca.file)}`];
}

function mariadbEncryption({ ca }: Login, quoted: (text: string) => string): readonly string[] {
  if (ca === undefined) return ['skip-ssl'];
  return [`ssl-ca=${quoted(ca.file)}`, `ssl-verify-server-cert=${ca.verify === 'full' ? 1 : 0}`];
}

const reserved = new Set([
  'root',
  'mysql',
  'mariadb.sys',
  'mysql.sys',
  'mysql.session',
  'mysql.infoschema',
  'PUBLIC',
  '',
  ownAccounts.admin,
]);

/** Makes the primary's accounts on the replica, with their passwords as they are stored. Those that it has are left as they are. */
async function copyAccounts(
  primary: Session,
  replica: Session,
): Promise<{ readonly made: readonly string[]; readonly kept: readonly string[] }> {
  const made: string[] = [];
  const kept: string[] = [];
  const list = 'SELECT User AS user, Host AS host FROM mysql.user';
  const present = new Set(
    (await replica.query(list, [], timeoutMs)).map(({ user, host }) => quoteAccount(user ?? '', host ?? '')),
  );
  // Stored passwords may hold bytes that are no letters; a server that does not know the setting writes them plainly.
  await primary.query('SET SESSION print_identified_with_as_hex = ON', [], timeoutMs).catch(() => undefined);
  await unlogged(replica, async () => {
    for (const { user, host } of await primary.query(list, [], timeoutMs)) {
      const name = quoteAccount(user ?? '', host ?? '');
      if (reserved.has(user ?? '')) continue;
      if (present.has(name)) {
        kept.push(name);
        continue;
      }
      const [create] = await primary.query(`SHOW CREATE USER ${name}`, [], timeoutMs);
      await replica.query(Object.values(create ?? {})[0] ?? '', [], timeoutMs);
      for (const row of await primary.query(`SHOW GRANTS FOR ${name}`, [], timeoutMs)) {
        await replica.query(Object.values(row)[0] ?? '', [], timeoutMs);
      }
      made.push(name);
    }
  });
  return { made, kept };
}

async function dropAccounts(session: Session, names: readonly string[]): Promise<void> {
  await unlogged(session, async () => {
    for (const name of names) await session.query(`DROP USER IF EXISTS ${name}`, [], timeoutMs);
  });
}

/** The replica was empty before, so what is there now came with the copy. */
async function empty({ session, dialect }: OffsetServer, schemas: readonly string[]): Promise<void> {
  if ((await readReplica(session, dialect)) !== null) await detach(session, dialect);
  await unlogged(session, async () => {
    for (const schema of schemas) {
      await session.query(`DROP DATABASE IF EXISTS ${quoteIdentifier(schema)}`, [], timeoutMs);
    }
  });
}

async function unlogged(session: Session, work: () => Promise<void>): Promise<void> {
  await session.query('SET SESSION sql_log_bin = 0', [], timeoutMs);
  try {
    await work();
  } finally {
    await session.query('SET SESSION sql_log_bin = 1', [], timeoutMs);
  }
}
