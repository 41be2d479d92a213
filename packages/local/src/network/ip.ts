import { existsSync } from 'node:fs';
import { LocalError } from '../errors.ts';
import { run } from '../run.ts';

const places = ['/usr/sbin/ip', '/sbin/ip', '/usr/bin/ip', '/bin/ip'];

/** The program `ip` of iproute2, or null when the machine does not have it. */
export const ipProgram = (): string | null => places.find((path) => existsSync(path)) ?? null;

/** The program `nsenter` of util-linux, or null. */
export const nsenterProgram = (): string | null =>
  ['/usr/bin/nsenter', '/bin/nsenter'].find((path) => existsSync(path)) ?? null;

/** The program `tc` of iproute2, or null. */
const tcProgram = (): string | null =>
  ['/usr/sbin/tc', '/sbin/tc', '/usr/bin/tc', '/bin/tc'].find((path) => existsSync(path)) ?? null;

/**
 * Why network namespaces cannot be used here; null when they can.
 */
export function namespacesObjection(): string | null {
  if (process.platform !== 'linux') return 'this is not Linux';
  if (process.getuid?.() !== 0) return 'they need root';
  if (ipProgram() === null) return 'the program "ip" (package iproute2) is missing';
  if (nsenterProgram() === null) return 'the program "nsenter" (package util-linux) is missing';
  return null;
}

/** Runs `ip` with these arguments. @throws LocalError `NETWORK_FAILED` with what it said. */
export async function ip(...args: readonly string[]): Promise<string> {
  const program = ipProgram();
  if (program === null)
    throw new LocalError('NETWORK_FAILED', 'The program "ip" is missing.', { next: 'Install iproute2.' });
  const result = await run(program, args);
  if (result.code === 0) return result.stdout;
  const said = result.stderr.trim() || `exit code ${result.code}`;
  throw new LocalError('NETWORK_FAILED', `ip ${args.join(' ')}: ${said}.`);
}

/** Runs `tc` with these arguments. @returns null when it was done, otherwise what it said. */
export async function tc(...args: readonly string[]): Promise<string | null> {
  const program = tcProgram();
  if (program === null) return 'the program "tc" (package iproute2) is missing';
  const result = await run(program, args);
  return result.code === 0 ? null : result.stderr.trim() || `exit code ${result.code}`;
}
