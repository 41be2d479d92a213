import { codeOf } from '@understudy/base';
import type { Target, TargetOptions } from '../client/target.ts';
import { engineFacts } from '../engine/facts.ts';
import { CliError } from '../errors.ts';
import type { Io } from '../output/io.ts';

/** What somebody asked for; what is left out is the engine's own. */
export interface LoginOptions {
  readonly user?: string | undefined;
  readonly database?: string | undefined;
}

/** How to log in to the databases of a cluster. */
export interface Login {
  readonly user: string;
  readonly database: string;
  /** Null: none; PostgreSQL's driver looks into PGPASSFILE or ~/.pgpass. */
  readonly password: string | null;
  /** The authority that signed the servers' certificates: the password goes to nobody else. Null: no TLS. */
  readonly ca: string | null;
  /** `ca`: a certificate of that authority will do, whatever it names (`engine.tls.verify` of the node's file); otherwise it names the host. */
  readonly verify?: 'ca' | 'full';
}

/**
 * The login for a cluster: of one of this machine, its superuser; for a node's file, the superuser of its secrets (if they can be read);
 * otherwise what PGPASSWORD and PGPASSFILE (of MySQL and MariaDB: MYSQL_PWD) say.
 */
export async function loginFor(
  engine: string,
  target: Target,
  options: TargetOptions & LoginOptions,
  env: Io['env'],
): Promise<Login> {
  const facts = engineFacts(engine);
  const { user = facts.user, database = facts.database } = options;
  const given = engine === 'postgres' ? env.PGPASSWORD : env.MYSQL_PWD;
  if (target.folder !== null && user === facts.user) {
    const { readLogin } = await import('@understudy/local');
    const { password, ca } = await readLogin(target.folder);
    return { user, database, password, ca };
  }
  const file = options.api === undefined ? (options.config ?? env.UNDERSTUDY_CONFIG) : undefined;
  const password = given === undefined || given === '' ? null : given;
  if (file === undefined || file === '') return { user, database, password, ca: await authorityFor(target, env) };
  return fromNodeFile(file, { user, database, password });
}

/** Of a cluster of this machine its servers' authority; of one that is named by address UNDERSTUDY_DATABASE_CA, or else whatever --ca says. */
async function authorityFor(target: Target, env: Io['env']): Promise<string | null> {
  if (target.folder !== null) {
    const { readLogin } = await import('@understudy/local');
    return (await readLogin(target.folder)).ca;
  }
  const file = env.UNDERSTUDY_DATABASE_CA;
  if (file === undefined || file === '') return target.tls.ca ?? null;
  const { readFile } = await import('node:fs/promises');
  return readFile(file, 'utf8').catch((cause: unknown) => {
    const text = `UNDERSTUDY_DATABASE_CA names ${file}, which cannot be read (${codeOf(cause) ?? 'unknown error'}).`;
    throw new CliError('FILE_UNREADABLE', text, { next: 'Correct the path or its permissions.', cause });
  });
}

async function fromNodeFile(file: string, known: Omit<Login, 'ca'>): Promise<Login> {
  const [{ loadNodeConfig, loadSecrets }, { readFile }, { resolve }] = await Promise.all([
    import('@understudy/agent/client'),
    import('node:fs/promises'),
    import('node:path'),
  ]);
  const config = await loadNodeConfig(resolve(file));
  const { tls } = config.engine;
  const ca = tls === undefined ? null : await readFile(tls.ca, 'utf8');
  const verify = tls?.verify ?? 'full';
  // Only PostgreSQL's superuser may log in over the network; of the others it is the agent's own account, on its socket.
  if (known.password !== null || config.engine.kind !== 'postgres' || known.user !== 'postgres')
    return { ...known, ca, verify };
  return { ...known, ca, verify, password: (await loadSecrets(config.secretsFile)).superuser };
}

/** Says that a server was not given the password that it asked for. */
export function passwordWithheld(user: string, where: string, cause: Error): CliError {
  const text = `${user} does not log in at ${where}: ${cause.message}.`;
  const next =
    'Look which program listens there. Accounts for these commands have scram-sha-256 (PostgreSQL), caching_sha2_password or mysql_native_password.';
  return new CliError('REFUSED', text, { next, cause });
}

/** Says what to do when the database does not know the password. */
export function loginRefused(user: string, cause: unknown): CliError {
  const next =
    "Put the password into PGPASSWORD or PGPASSFILE (MySQL, MariaDB: MYSQL_PWD), or name the cluster by its folder or by a node's file. (On MySQL and MariaDB `understudy up` makes the account as its last step.)";
  return new CliError('REFUSED', `The database refused the login of "${user}".`, { next, cause });
}
