import { codeOf } from '../errors.ts';
import type { Login } from './login.ts';
import type { Driver, Host, Session } from './session.ts';

/** The driver for an engine, by the name that its agents give; only that one is loaded. */
export async function driverFor(engine: string): Promise<Driver> {
  if (engine === 'postgres') return (await import('./postgres.ts')).postgresDriver;
  return (await import('./mysql.ts')).mysqlDriver;
}

/** Asks all hosts at once and keeps the session of the one that is open for writes; null when none is. */
export async function connectToPrimary(
  driver: Driver,
  hosts: readonly Host[],
  login: Login,
  timeoutMs: number,
): Promise<Session | null> {
  const attempts = await Promise.allSettled(
    hosts.map(async (host) => {
      const session = await driver.connect(host, login, timeoutMs);
      const isPrimary = await withDeadline(session.isWritable(), timeoutMs).catch(() => false);
      if (isPrimary) return session;
      await session.close();
      return null;
    }),
  );
  const found = attempts.flatMap((attempt) =>
    attempt.status === 'fulfilled' && attempt.value !== null ? [attempt.value] : [],
  );
  const [first, ...others] = found;
  for (const session of others) await session.close();
  if (first !== undefined) return first;
  const refused = attempts.find((attempt) => attempt.status === 'rejected' && codeOf(attempt.reason) === 'REFUSED');
  if (refused?.status === 'rejected') throw refused.reason;
  return null;
}

/** @throws Error when `work` is not done in time; what becomes of it then is the caller's business */
export async function withDeadline<T>(work: Promise<T>, timeoutMs: number): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`no answer within ${timeoutMs} ms`)), timeoutMs);
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
    // It may still fail after the deadline; nobody waits for it then.
    work.catch(() => undefined);
  }
}
