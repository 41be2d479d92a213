import { monotonicMs } from '@understudy/base';
import { EngineError } from '@understudy/engine';
import { provenSettings } from '../config/settings.ts';
import type { Instance } from '../instance.ts';
import { quoteLiteral } from '../names.ts';
import { includeName } from '../paths.ts';

const connectTimeoutMs = 500;
/** How long a reload may take until it is looked whether somebody else set the values. */
const settleMs = 1000;

/**
 * Makes the server read its configuration, and proves that it did: a process forked afterwards has the wanted values. As the
 * server's first process tells its children before it forks another, each of them has been told by then too.
 *
 * @returns the values that a new process has; they differ from `expected` when something overrides our include, or when the
 *   deadline passed first.
 */
export async function reload(
  instance: Instance,
  expected: Readonly<Record<string, string>>,
  timeoutMs: number,
): Promise<'proven' | { readonly running: Readonly<Record<string, string>> }> {
  instance.postmaster.signal('SIGHUP');
  const endMs = monotonicMs() + timeoutMs;
  let running: Readonly<Record<string, string>> = {};
  do {
    running = await instance.sql.freshSettings(Object.keys(expected), connectTimeoutMs);
    const settled = running;
    if (Object.entries(expected).every(([name, value]) => settled[name] === value)) return 'proven';
  } while (monotonicMs() < endMs);
  return { running };
}

/** Whether a new process of the server has these values now, without telling it anything. */
export async function shows(instance: Instance, expected: Readonly<Record<string, string>>): Promise<boolean> {
  const running = await instance.sql.freshSettings(Object.keys(expected), connectTimeoutMs);
  return Object.entries(expected).every(([name, value]) => running[name] === value);
}

/**
 * Takes back what somebody set over our include: a line behind it, or ALTER SYSTEM. Whoever did so is told in `status`; values are
 * not repeated, as a connection string may hold a password.
 *
 * @returns the names that were taken back.
 */
export async function takeBack(instance: Instance, names: readonly string[]): Promise<readonly string[]> {
  const list = names.filter((name) => provenSettings.some((proven) => proven === name));
  if (list.length === 0) return [];
  const rows = await instance.sql.fresh(connectTimeoutMs, (session) =>
    session.rows(
      `select name, sourcefile, sourceline, sourcefile like '%/postgresql.auto.conf' as auto from pg_file_settings
       where sourcefile not like '%/${includeName}' and name in (${list.map(quoteLiteral).join(', ')})
       and seqno > (select min(seqno) from pg_file_settings where sourcefile like '%/${includeName}')`,
      connectTimeoutMs,
    ),
  );
  await instance.config.appendInclude();
  for (const { name, sourcefile, sourceline, auto } of rows) {
    if (auto === 't') {
      await instance.sql.fresh(connectTimeoutMs, (session) =>
        session.rows(`alter system reset ${name}`, connectTimeoutMs),
      );
    }
    instance.notices.add(
      `Somebody set ${name} on this server (${sourcefile}:${sourceline}); that is taken back, because acknowledged writes depend on it. Understudy sets ${name} itself; \`understudy pause\` keeps it from electing, starting and stopping while you work on servers by hand.`,
    );
  }
  return rows.map((row) => row.name ?? '');
}

/** Says which file and line keeps a setting from having our value, as half a sentence for people. */
export async function whoOverrides(instance: Instance, name: string): Promise<string> {
  try {
    const row = await instance.sql.fresh(connectTimeoutMs, (session) =>
      session.row(
        `select source, sourcefile, sourceline from pg_settings where name = ${quoteLiteral(name)}`,
        connectTimeoutMs,
      ),
    );
    const where = row.sourcefile ? `${row.sourcefile}:${row.sourceline}` : row.source;
    return `${name} comes from ${where}; remove it there (ALTER SYSTEM RESET ${name}) and reload`;
  } catch {
    return `the server did not say where ${name} comes from`;
  }
}

/**
 * As `reload`, but takes back what somebody else set over ours, and throws `code` when the values are not proven.
 *
 * @returns the settings that were taken back.
 */
export async function reloadOrThrow(
  instance: Instance,
  expected: Readonly<Record<string, string>>,
  code: 'ENGINE_SEAL_UNPROVEN' | 'ENGINE_RULE_UNPROVEN' | 'ENGINE_PROMOTE_FAILED' | 'ENGINE_INTERNAL',
): Promise<readonly string[]> {
  let result = await reload(instance, expected, settleMs);
  if (result === 'proven') return [];
  const { running } = result;
  const others = Object.keys(expected).filter((name) => running[name] !== expected[name]);
  const undone = await takeBack(instance, others);
  if (undone.length > 0) result = await reload(instance, expected, 1000);
  if (result === 'proven') return undone;
  const wrong = Object.keys(expected).find((name) => result.running[name] !== expected[name]) ?? 'a setting';
  const who = await whoOverrides(instance, wrong);
  throw new EngineError(code, `The server did not take the new value of ${wrong} within 1 s: ${who}.`, {
    retry: 'safe',
  });
}
