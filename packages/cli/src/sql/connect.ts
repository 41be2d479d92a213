import { codeOf, withDeadline } from '@understudy/base';
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
      const isPrimary = await withDeadline(session.isWritable(), timeoutMs, noAnswer(timeoutMs)).catch(() => false);
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

/** The error of a server that does not answer in time. */
export const noAnswer = (timeoutMs: number) => (): Error => new Error(`no answer within ${timeoutMs} ms`);
