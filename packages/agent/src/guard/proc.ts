/** What the guard knows of processes beyond `@understudy/base/processes`: how one was started, and how a server is killed whole. */

import {
  argumentsOf,
  childrenOf,
  environmentOf,
  isAlive,
  linkOf,
  type ProcessName,
  processInfo,
  signalProcess,
} from '@understudy/base/processes';

/** The scheduler's letter for a process; null when it is gone. */
export function stateOf({ pid, startTicks }: ProcessName): string | null {
  const info = processInfo(pid);
  return info?.startTicks === startTicks ? info.state : null;
}

/** How a process was started, for starting it again. */
export interface StartedAs {
  readonly program: string;
  readonly args: readonly string[];
  readonly folder: string;
  readonly env: Readonly<Record<string, string>>;
}

/** Null when the process is gone. */
export function startedAs(pid: number): StartedAs | null {
  const program = linkOf(pid, 'exe');
  const folder = linkOf(pid, 'cwd');
  const [, ...args] = argumentsOf(pid);
  const pairs = environmentOf(pid).map((pair) => [pair, pair.indexOf('=')] as const);
  const env = Object.fromEntries(
    pairs.filter(([, at]) => at > 0).map(([pair, at]) => [pair.slice(0, at), pair.slice(at + 1)]),
  );
  return program === null || folder === null ? null : { program, args, folder, env };
}

/**
 * Kills a server with all its children at once, so that none of them can acknowledge anything more.
 * The parent is stopped first: a stopped parent makes no new children while they are counted.
 * @returns everything that was killed
 */
export function killTree(server: ProcessName): readonly ProcessName[] {
  if (!isAlive(server)) return [];
  signalProcess(server, 'SIGSTOP');
  const children = childrenOf(server.pid).map(({ pid, startTicks }) => ({ pid, startTicks }));
  const all = [server, ...children];
  for (const each of all) signalProcess(each, 'SIGKILL');
  return all;
}
