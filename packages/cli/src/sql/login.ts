import type { Target, TargetOptions } from '../client/target.ts';
import { CliError } from '../errors.ts';
import type { Io } from '../output/io.ts';

/** How to log in to the databases of a cluster. */
export interface Login {
  readonly user: string;
  readonly database: string;
  /** Null: the driver looks into PGPASSFILE or ~/.pgpass. */
  readonly password: string | null;
  /** The authority that signed the servers' certificates; null: no TLS. */
  readonly ca: string | null;
}

/**
 * The login for a cluster: of one of this machine, its superuser; for a node's file, the superuser of its secrets (if they can be read);
 * otherwise what PGPASSWORD and PGPASSFILE say.
 */
export async function loginFor(
  target: Target,
  options: TargetOptions & { readonly user: string; readonly database: string },
  env: Io['env'],
): Promise<Login> {
  const { user, database } = options;
  const given = env.PGPASSWORD;
  if (target.folder !== null && user === 'postgres') {
    const { readLogin } = await import('@understudy/local');
    return { user, database, password: (await readLogin(target.folder)).password, ca: null };
  }
  const file = options.api === undefined ? (options.config ?? env.UNDERSTUDY_CONFIG) : undefined;
  const password = given === undefined || given === '' ? null : given;
  if (file === undefined || file === '') return { user, database, password, ca: null };
  return fromNodeFile(file, { user, database, password });
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
  if (known.password !== null || known.user !== 'postgres') return { ...known, ca };
  return { ...known, ca, password: (await loadSecrets(config.secretsFile)).superuser };
}

/** Says what to do when the database does not know the password. */
export function loginRefused(user: string, cause: unknown): CliError {
  const next = "Put the password into PGPASSWORD or PGPASSFILE, or name the cluster by its folder or by a node's file.";
  return new CliError('REFUSED', `The database refused the login of "${user}".`, next, { cause });
}
