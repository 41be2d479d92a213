import { EngineError } from '@understudy/engine';
import { monotonicMs } from '@understudy/engine/host';
import type { Instance } from '../instance.ts';
import { quoteLiteral } from '../names.ts';

const connectTimeoutMs = 500;

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

/** As `reload`, but throws `code` when the values are not proven. */
export async function reloadOrThrow(
  instance: Instance,
  expected: Readonly<Record<string, string>>,
  code: 'ENGINE_SEAL_UNPROVEN' | 'ENGINE_RULE_UNPROVEN' | 'ENGINE_PROMOTE_FAILED' | 'ENGINE_INTERNAL',
): Promise<void> {
  const result = await reload(instance, expected, 1000);
  if (result === 'proven') return;
  const wrong = Object.keys(expected).find((name) => result.running[name] !== expected[name]) ?? 'a setting';
  const who = await whoOverrides(instance, wrong);
  throw new EngineError(code, `The server did not take the new value of ${wrong} within 1 s: ${who}.`, 'safe');
}
