import { pollUntil } from '@understudy/base';
import { type CopyRequest, EngineError } from '@understudy/engine';
import type { Dialect } from '../dialect/dialect.ts';
import { isNewer } from '../programs.ts';
import type { Session } from '../sql/session.ts';
import { noLimit } from '../sql/setup.ts';
import type { SendingHost } from './sending-host.ts';

const queryTimeoutMs = 4000;
/** An acknowledger that connects anew (as it does when the rule names it) is back sooner, and acknowledgements are not so far apart. */
const stalledAfterMs = 3000;

/** Storage engines whose files `mariadb-backup` copies consistently. */
const copiedEngines = [
  'InnoDB',
  'Aria',
  'MyISAM',
  'MRG_MyISAM',
  'CSV',
  'MEMORY',
  'ARCHIVE',
  'BLACKHOLE',
  'SEQUENCE',
  'PERFORMANCE_SCHEMA',
];

/** A copy of the files is of no use, or would do harm. `why` is a sentence. */
export function unavailable(why: string, cause?: unknown): EngineError {
  return new EngineError('ENGINE_COPY_UNAVAILABLE', why, { cause });
}

/**
 * Refuses a copy that the other one could not use.
 *
 * @throws EngineError `ENGINE_COPY_UNAVAILABLE`
 */
export function requireSameSeries(
  { programs, options }: Pick<SendingHost, 'programs' | 'options'>,
  request: CopyRequest,
) {
  const own = `${programs.flavour} ${programs.version}`;
  if (programs.flavour !== 'mariadb') throw unavailable(`${own} is copied by its own plugin, not by its files.`);
  const { engine, version } = request;
  const isSame =
    engine === programs.flavour && !isNewer(version, programs.version, 2) && !isNewer(programs.version, version, 2);
  if (!isSame) throw unavailable(`${options.member} runs ${own}, which does not fit ${engine} ${version}.`);
}

/**
 * Refuses a source that limits the rows of all sessions. A dump would lack rows, and nobody would see it; `mariadb-backup` 11.8.9 crashes, as it
 * finds half of the server's variables.
 *
 * @throws EngineError `ENGINE_CLONE_FAILED`
 */
export async function refuseLimit(session: Session, member: string): Promise<void> {
  const [row] = await session.query('select @@global.sql_select_limit as most', [], queryTimeoutMs);
  if (row?.most === noLimit) return;
  const text = `sql_select_limit is ${row?.most} on ${member}, and a copy would hold no more rows of each table, or fail.`;
  const next = 'Run SET GLOBAL sql_select_limit = DEFAULT there. The copy is tried again.';
  throw new EngineError('ENGINE_CLONE_FAILED', text, { next });
}

/**
 * Looks whether the files of this server can be copied now.
 *
 * @throws EngineError `ENGINE_COPY_UNAVAILABLE`, or `ENGINE_CLONE_FAILED`, with the reason.
 */
export async function requireCopyable(
  { dialect, options }: Pick<SendingHost, 'dialect' | 'options'>,
  session: Session,
): Promise<void> {
  await refuseLimit(session, options.member);
  const [plugin] = await session.query(
    "select plugin_name as name from information_schema.plugins where plugin_type = 'ENCRYPTION' and plugin_status = 'ACTIVE'",
    [],
    queryTimeoutMs,
  );
  if (plugin !== undefined)
    throw unavailable(`Its files may be encrypted with keys of its own (plugin ${plugin.name}).`);
  const [other] = await session.query(
    `select engine as name from information_schema.engines where support in ('YES', 'DEFAULT') and engine not in (${copiedEngines.map(() => '?').join(', ')})`,
    copiedEngines,
    queryTimeoutMs,
  );
  if (other !== undefined)
    throw unavailable(`mariadb-backup does not copy tables of its storage engine ${other.name}.`);
  await requireCommits(session, dialect);
}

interface Waiting {
  readonly acknowledgers: number;
  readonly waiting: number;
  readonly acknowledged: number;
}

/** How acknowledgements stand; null when commits wait for none. */
async function readWaiting(session: Session, { semiSync }: Dialect): Promise<Waiting | null> {
  const [row] = await session.query(`select @@global.${semiSync.sourceEnabled} as enabled`, [], queryTimeoutMs);
  if (row?.enabled !== '1') return null;
  const like = `${semiSync.figures.replaceAll('_', '\\_')}%`;
  const figures = new Map<string, number>();
  for (const { Variable_name: name, Value } of await session.query(
    'show global status like ?',
    [like],
    queryTimeoutMs,
  )) {
    figures.set((name ?? '').slice(semiSync.figures.length), Number(Value));
  }
  const of = (name: string): number => figures.get(name) ?? 0;
  return { acknowledgers: of('clients'), waiting: of('wait_sessions'), acknowledged: of('yes_tx') };
}

/**
 * A backup has to wait for the commits under way before it can end, and new ones wait behind it: where nobody acknowledges, neither would ever
 * end. Perhaps the one that could is the very member that asks for the copy.
 */
async function requireCommits(session: Session, dialect: Dialect): Promise<void> {
  let first: number | null = null;
  let why = '';
  const goesOn = await pollUntil(
    async () => {
      const now = await readWaiting(session, dialect);
      if (now === null) return true;
      first ??= now.acknowledged;
      if (now.acknowledgers > 0 && (now.waiting === 0 || now.acknowledged !== first)) return true;
      why =
        now.acknowledgers === 0
          ? 'Nobody is there to acknowledge its commits'
          : 'Its commits wait for acknowledgements';
      return null;
    },
    { everyMs: 50, timeoutMs: stalledAfterMs },
  );
  if (goesOn === null) throw unavailable(`${why}, so a backup might never end.`);
}
