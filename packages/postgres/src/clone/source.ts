import { pollUntil } from '@understudy/base';
import type { Member, TimelineSwitch, WalPosition } from '@understudy/core';
import { EngineError } from '@understudy/engine';
import { readBytes } from '@understudy/engine/host';
import { parseHistory } from '../disk/wal.ts';
import type { Instance } from '../instance.ts';
import { roles } from '../names.ts';
import { type Identification, identify } from '../observe/query.ts';
import type { PostgresOptions } from '../options.ts';
import { sessionOptions } from '../sql/defaults.ts';
import { obstacleOf } from '../sql/doors.ts';
import { missing } from '../sql/local.ts';
import { PgSession } from '../sql/session.ts';

const timeoutMs = 10_000;

/** A new primary gets its roles only after it has opened; until then it refuses ours. */
const rolesWithinMs = 10_000;

/**
 * Connects to another member's server as one of our roles: `replication` for copies and histories, `rewind` for `pg_rewind`'s.
 *
 * @throws EngineError `ENGINE_UNREACHABLE`, or `ENGINE_LOGIN_FAILED` when the role is still refused after a while.
 */
export async function openMember(instance: Instance, from: Member, role: 'replication' | 'rewind'): Promise<PgSession> {
  return (await enterMember(instance, from, role)).session;
}

/** As `openMember`, with what let us in: a database that takes connections, and the settings that the server took. */
export async function enterMember(instance: Instance, from: Member, role: 'replication' | 'rewind'): Promise<Entry> {
  let refusal: EngineError | null = null;
  const session = await pollUntil(
    async () => {
      try {
        return await openOnce(instance, from, role);
      } catch (error) {
        if (!(error instanceof EngineError) || error.code !== 'ENGINE_LOGIN_FAILED') throw error;
        refusal = error;
        return null;
      }
    },
    { everyMs: 50, timeoutMs: rolesWithinMs },
  );
  if (session !== null) return session;
  throw refusal ?? new EngineError('ENGINE_LOGIN_FAILED', `${from.id} refuses the login of ${roles[role]}.`);
}

export interface Entry {
  readonly session: PgSession;
  readonly database: string;
  readonly options: string;
}

/** As `enterMember`, without waiting for a role that a new leader has yet to make. */
export async function openOnce(instance: Instance, from: Member, role: 'replication' | 'rewind'): Promise<Entry> {
  const { options } = instance;
  const ssl = options.tls === null ? null : await certificatesOf(options.tls);
  const needs = { major: instance.expected.major, lockTimeoutMs: 0 };
  const enter = async (database: string, privileges: 'ordinary' | 'granted'): Promise<Entry> => {
    const login =
      role === 'replication'
        ? instance.config.loginTo(from.id)
        : { user: roles.rewind, password: options.secrets.rewind };
    const target = {
      host: from.host,
      port: from.port,
      ...login,
      database,
      replication: role === 'replication' ? ('physical' as const) : ('none' as const),
      applicationName: `understudy ${role} ${options.member}`,
      // A stream for a copy belongs to no database, so that nothing of a database or a role applies to it.
      options: role === 'replication' ? '' : sessionOptions({ ...needs, privileges }),
      ssl,
    };
    return { session: await PgSession.open(target, timeoutMs), database, options: target.options };
  };
  if (role === 'replication') return enter('postgres', 'ordinary');
  return enterAnyDatabase(await instance.sql.databases(), enter);
}

/** The usual database may be closed to this role, or to everybody; and a leader of an older version has not granted the settings. */
async function enterAnyDatabase(
  databases: readonly string[],
  enter: (database: string, privileges: 'ordinary' | 'granted') => Promise<Entry>,
): Promise<Entry> {
  let first: unknown = null;
  for (const privileges of ['granted', 'ordinary'] as const) {
    for (const database of databases) {
      try {
        return await enter(database, privileges);
      } catch (error) {
        first ??= error;
        if (obstacleOf(error) !== 'database') throw error;
      }
    }
  }
  throw first;
}

async function certificatesOf({ ca, cert, key, verify }: NonNullable<PostgresOptions['tls']>) {
  const [caText, certText, keyText] = await Promise.all([ca, cert, key].map((file) => readBytes(file)));
  return { ca: String(caText), cert: String(certText), key: String(keyText), verify };
}

/** Where a member's server is, with the history that it tells over a physical replication connection. */
export async function memberPosition(session: PgSession): Promise<WalPosition & { readonly systemId: string }> {
  const at: Identification = await identify(session, timeoutMs);
  let history: readonly TimelineSwitch[] | null = [];
  if (at.timeline > 1) {
    const row = await session.row(`TIMELINE_HISTORY ${at.timeline}`, timeoutMs);
    history = parseHistory(decodeBytes(row.content ?? ''));
  }
  if (history === null) throw missing(`history of timeline ${at.timeline}`);
  return { kind: 'wal', timeline: at.timeline, lsn: at.lsn, history, systemId: at.systemId };
}

/** The command's content column is declared `bytea` (`text` in later versions) but always sent as plain text. */
function decodeBytes(value: string): string {
  return value.startsWith('\\x') ? Buffer.from(value.slice(2), 'hex').toString('utf8') : value;
}
