import { readFileSync } from 'node:fs';
import { z } from 'zod';
import { ServersError } from './errors.ts';

/** The user that runs database servers when this process is root. */
export interface ServerUser {
  readonly uid: number;
  readonly gid: number;
  readonly name: string;
}

const idSchema = z.coerce.number().int().nonnegative();

function passwdUsers(file: string): ServerUser[] {
  return readFileSync(file, 'utf8')
    .split('\n')
    .flatMap((line) => {
      const [name, , uidText, gidText] = line.split(':');
      const uid = idSchema.safeParse(uidText);
      const gid = idSchema.safeParse(gidText);
      return name !== undefined && name !== '' && uid.success && gid.success
        ? [{ name, uid: uid.data, gid: gid.data }]
        : [];
    });
}

/**
 * The user as whom database servers have to run.
 *
 * PostgreSQL refuses to start as root, and `initdb` needs a user that is in passwd: `postgres` where there is one,
 * otherwise `nobody`. Start servers with `spawn(program, args, { uid, gid, env: { …, HOME: dataFolder } })`: with root's
 * HOME left in place, libpq of a replica tries to read root's files and fails.
 *
 * @param passwdFile for tests.
 * @returns null when this process is not root: servers then run as the process itself.
 * @throws ServersError `USER_MISSING` when root has neither of the two.
 */
export function serverUser(passwdFile = '/etc/passwd'): ServerUser | null {
  if (process.getuid?.() !== 0) return null;
  const users = passwdUsers(passwdFile).filter((user) => user.uid !== 0);
  const found = users.find((user) => user.name === 'postgres') ?? users.find((user) => user.name === 'nobody');
  if (found) return found;
  const text = 'PostgreSQL refuses to run as root, and this machine has neither a user "postgres" nor "nobody".';
  const next = 'Make one (useradd --system postgres) or run as an ordinary user.';
  throw new ServersError('USER_MISSING', text, { next });
}

/** The primary group of a uid by passwd; the uid itself when passwd does not know it. */
export function groupOf(uid: number): number {
  return passwdUsers('/etc/passwd').find((user) => user.uid === uid)?.gid ?? uid;
}
