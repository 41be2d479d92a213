import { pollUntil } from '@understudy/base';
import type { Member } from '@understudy/core';
import { EngineError } from '@understudy/engine';
import { z } from 'zod';
import { makingNames, withoutDefaults } from '../config/at-making.ts';
import type { Parameters } from '../config/file.ts';
import type { Settings } from '../config/settings.ts';
import { serverErrorOf } from '../errors.ts';
import type { Instance } from '../instance.ts';
import { schemaName } from '../names.ts';
import type { Flavour } from '../programs.ts';
import { openMember } from '../sql/local.ts';
import type { Session } from '../sql/session.ts';

const queryTimeoutMs = 10_000;
/** A leader that has just opened makes the accounts and tables that a copy needs in its first second; on a busy machine it takes longer. */
const readyTimeoutMs = 20_000;
const askEveryMs = 200;

/** What a member says of the data that is to be copied. */
export interface Source {
  readonly systemId: string;
  /** About how much it has on disk. */
  readonly bytes: number | null;
  /** Its parameters that count only when a database is made. */
  readonly made: Parameters;
  /** What a server that receives its files must have as it has. */
  readonly alike: Settings;
}

const sizeQueries: Readonly<Record<Flavour, string>> = {
  mysql: 'select sum(allocated_size) as bytes from information_schema.innodb_tablespaces',
  mariadb: 'select sum(data_length + index_length) as bytes from information_schema.tables',
};

/** No such schema, no such table. */
const absent = new Set([1049, 1146]);
/** No right to read a schema, a table, or anything. */
const forbidden = new Set([1044, 1142, 1227]);

/**
 * Asks the source whose data it has, and how much. A leader is open a moment before it has made the account that copies log in with, and
 * the row that says which cluster it is of: it is asked again until then.
 *
 * @throws EngineError `ENGINE_LOGIN_FAILED`, `ENGINE_UNREACHABLE`; `ENGINE_CLONE_FAILED` when it does not say of which cluster it is.
 */
export async function askSource(instance: Instance, from: Member, signal: AbortSignal): Promise<Source> {
  let refusal: unknown = null;
  const source = await pollUntil(
    async () => {
      try {
        return await ask(instance, from);
      } catch (error) {
        if (!isNotReady(error)) throw error;
        refusal = error;
        return null;
      }
    },
    { everyMs: askEveryMs, timeoutMs: readyTimeoutMs, signal },
  );
  if (source === null) throw refusal;
  return source;
}

/** Says no, but may say yes in a moment. */
class NotOpenedYet extends EngineError {}

function isNotReady(error: unknown): boolean {
  if (error instanceof NotOpenedYet) return true;
  if (forbidden.has(serverErrorOf(error) ?? 0)) return true;
  return error instanceof EngineError && error.code === 'ENGINE_LOGIN_FAILED';
}

async function ask(instance: Instance, from: Member): Promise<Source> {
  const session = await openMember(instance.options, from, 'clone', queryTimeoutMs);
  try {
    const systemId = await clusterOf(session, from);
    const [size] = await session.query(sizeQueries[instance.programs.flavour], [], queryTimeoutMs);
    const bytes = Number(size?.bytes ?? Number.NaN);
    const { flavour } = instance.programs;
    const made = withoutDefaults(await valuesOf(session, makingNames(flavour)));
    const alike = flavour === 'mysql' ? await cloneSettings(session) : [];
    return { systemId, bytes: Number.isFinite(bytes) ? Math.round(bytes) : null, made, alike };
  } finally {
    await session.end();
  }
}

async function valuesOf(session: Session, names: readonly string[]): Promise<Record<string, string>> {
  const rows = await session.query(
    `show global variables where variable_name in (${names.map(() => '?').join(', ')})`,
    [...names],
    queryTimeoutMs,
  );
  return Object.fromEntries(rows.map(({ Variable_name: name, Value: value }) => [name ?? '', value ?? '']));
}

/** What CLONE compares before it copies (MySQL manual, "Cloning Remote Data"): these variables, and every plugin that is compiled in. */
async function cloneSettings(session: Session): Promise<Settings> {
  const values = await valuesOf(session, ['character_set_server', 'collation_server']);
  const plugins = await session.query(
    "select lower(plugin_name) as name from information_schema.plugins where plugin_status = 'ACTIVE' and plugin_library is null",
    [],
    queryTimeoutMs,
  );
  const active = new Set(plugins.map(({ name }) => name ?? ''));
  const federated: Settings = active.has('federated') ? [['federated', null]] : [];
  return [...Object.entries(values), ...federated, ['mysqlx', active.has('mysqlx') ? 'ON' : 'OFF']];
}

async function clusterOf(session: Session, from: Member): Promise<string> {
  const query = `select cluster from ${schemaName}.\`lines\` order by lineage desc limit 1`;
  const rows = await session.query(query, [], queryTimeoutMs).catch((error: unknown) => {
    if (absent.has(serverErrorOf(error) ?? 0)) return [];
    throw error;
  });
  const id = z.uuid().safeParse(rows[0]?.cluster);
  if (id.success) return id.data;
  const text = `${from.id} was never opened as a leader: its database does not say of which cluster it is. Copy from the leader.`;
  throw new NotOpenedYet('ENGINE_CLONE_FAILED', text);
}
