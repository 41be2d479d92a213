import { execFile } from 'node:child_process';
import { stat } from 'node:fs/promises';
import { promisify } from 'node:util';
import { monotonicMs, reasonOf } from '@understudy/base';
import { processInfo } from '@understudy/base/processes';
import { databaseFor } from '../database/index.ts';
import type { Session } from '../database/session.ts';
import { DrillError } from '../errors.ts';
import { adminTarget } from '../run/targets.ts';
import type { Fault, FaultContext } from './fault.ts';
import { target } from './processes.ts';

const execute = promisify(execFile);
const loginMs = 500;
/** Threads that a server keeps for its next clients still take logins; MySQL and MariaDB keep fewer than this. */
const loginsMax = 300;

/**
 * The server cannot make another process or thread (its soft RLIMIT_NPROC is 1, as when its user is at the limit): whoever is logged in
 * goes on, nobody new comes in, and neither does a replica's new stream. Writes go on: over the old connections, or on another member.
 */
export const zombiePrimary: Fault = {
  name: 'zombie-primary',
  text: "the primary's server can make no process or thread for 8 s: connections that are open go on, new logins fail",
  needs: 'nothing',
  holdMs: 8000,
  writes: 'go-on',
  inject: async (context) => {
    const { leader, say } = context;
    const { pid, startTicks } = target(leader, 'database server', leader.server());
    const before = await limitOf(pid);
    const atMs = monotonicMs();
    await setLimit(pid, '1');
    const idle: Session[] = [];
    const heal = async (): Promise<void> => {
      for (const session of idle.splice(0)) session.destroy();
      if (processInfo(pid)?.startTicks === startTicks) await setLimit(pid, before);
    };
    try {
      await loginUntilRefused(context, idle);
      say(`${leader.name} refuses new logins`);
      return { atMs, heal };
    } catch (error) {
      await heal();
      throw error;
    }
  },
};

/** Logs in, and stays, until the server refuses. */
async function loginUntilRefused({ cluster, leader }: FaultContext, idle: Session[]): Promise<void> {
  const database = databaseFor(cluster);
  const target = adminTarget(cluster, leader.name, database.adminDatabase);
  while (idle.length < loginsMax) {
    const session = await database.open(target, loginMs);
    if (session === null) return;
    idle.push(session);
  }
  throw new DrillError('FAULT_FAILED', `${leader.name} took ${loginsMax} logins although it can make no process.`);
}

/** The soft limit; new children inherit it, so it is the server's first process that matters. */
async function limitOf(pid: number): Promise<string> {
  return (await prlimit(pid, '--nproc', '--output=SOFT', '--noheadings', '--raw')).trim();
}

async function setLimit(pid: number, soft: string): Promise<void> {
  await prlimit(pid, `--nproc=${soft}:`);
}

async function prlimit(pid: number, ...args: readonly string[]): Promise<string> {
  try {
    // As the server's user, who may always lower and raise a soft limit of its own; root may not where it lacks CAP_SYS_RESOURCE.
    const { uid, gid } = await stat(`/proc/${pid}`);
    return (await execute('prlimit', ['--pid', String(pid), ...args], { timeout: 10_000, uid, gid })).stdout;
  } catch (error) {
    const text = `The limit of process ${pid} cannot be changed by the program "prlimit" (package util-linux): ${reasonOf(error)}`;
    throw new DrillError('FAULT_FAILED', text, { cause: error });
  }
}
