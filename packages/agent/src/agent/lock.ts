import { codeOf, reasonOf } from '@understudy/base';
/** One agent per run directory, and what an agent leaves there for the next one. */

import { lstatSync, rmSync, statSync } from 'node:fs';
import { link, mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { replaceFile } from '@understudy/base/files';
import { bootId, isAlive, processName } from '@understudy/base/processes';
import { type Incarnation, incarnation } from '@understudy/core';
import { z } from 'zod';
import type { NodeConfig } from '../config/node-config.ts';
import { AgentError } from '../errors.ts';
import { RING_FILE } from '../ring/ring.ts';

const lockSchema = z.object({
  pid: z.number().int(),
  startTicks: z.string(),
  bootId: z.string(),
  member: z.string(),
  apiUrl: z.string(),
});
export type LockContent = z.infer<typeof lockSchema>;

const MAX_PREDECESSORS = 16;

export interface RunDirLock {
  /** Incarnations of earlier agents of this directory; all of them are dead, because the lock is held. */
  readonly predecessors: readonly Incarnation[];
  release(): void;
}

const lockPath = (runDir: string): string => join(runDir, 'agent.lock');
const incarnationsPath = (runDir: string): string => join(runDir, 'incarnations.json');

/** The agent that holds `runDir` now; null when none runs. */
export async function lockHolder(runDir: string): Promise<LockContent | null> {
  let content: LockContent;
  try {
    content = lockSchema.parse(JSON.parse(await readFile(lockPath(runDir), 'utf8')));
  } catch {
    return null;
  }
  return content.bootId === bootId() && isAlive(content) ? content : null;
}

/**
 * Takes the run directory for this process, making it (mode 0711) where it is missing.
 * @throws AgentError `AGENT_ALREADY_RUNNING`, `RUN_DIR_UNUSABLE`
 */
export async function lockRunDir(
  runDir: string,
  who: { readonly member: string; readonly apiUrl: string; readonly incarnation: Incarnation },
): Promise<RunDirLock> {
  try {
    // The server's user passes through to its own folder below; it cannot list this one.
    await mkdir(runDir, { recursive: true, mode: 0o711 });
    requireOwnFolder('runDir', runDir);
    await takeLock(runDir, who);
    const predecessors = await readIncarnations(runDir);
    const kept = [...predecessors, who.incarnation].slice(-MAX_PREDECESSORS);
    await replaceFile(incarnationsPath(runDir), JSON.stringify(kept));
    return { predecessors, release: () => rmSync(lockPath(runDir), { force: true }) };
  } catch (cause) {
    if (cause instanceof AgentError) throw cause;
    throw new AgentError('RUN_DIR_UNUSABLE', `The run directory ${runDir} cannot be used: ${reasonOf(cause)}.`, {
      next: 'Correct runDir, its permissions or the disk.',
      cause,
    });
  }
}

/**
 * Makes sure that nobody else can put files in the place of an agent's own.
 * @throws AgentError `RUN_DIR_UNUSABLE`
 */
function requireOwnFolder(setting: string, folder: string): void {
  const found = statSync(folder, { throwIfNoEntry: false });
  const own = process.geteuid?.();
  if (found === undefined || (found.uid === own && (found.mode & 0o022) === 0)) return;
  const whose = found.uid === own ? 'is open for other users to write to' : `belongs to user ${found.uid}`;
  const text = `The folder ${folder} ${whose}, and this agent runs as user ${own}: files of the agent could be exchanged there.`;
  const next = `Run: chown ${own} ${folder} && chmod go-w ${folder}; or correct ${setting}; or run the agent as that user.`;
  throw new AgentError('RUN_DIR_UNUSABLE', text, { next });
}

/** As for the run directory, for the other folders in which an agent that is root keeps files. @throws AgentError `RUN_DIR_UNUSABLE` */
export function requireOwnPlaces({
  runDir,
  stateDir,
  logs,
  engine,
}: Pick<NodeConfig, 'runDir' | 'stateDir' | 'logs'> & {
  readonly engine: Pick<NodeConfig['engine'], 'dataDir'>;
}): void {
  if (process.geteuid?.() !== 0) return;
  if (!hasDecidedHere(stateDir ?? runDir, process.geteuid())) requireClosedAbove(engine.dataDir);
  if (stateDir !== undefined) requireOwnFolder('stateDir', stateDir);
  if (logs.file !== undefined) requireOwnFolder('logs.file', dirname(logs.file));
}

/**
 * A copy is made beside `dataDir`, and put in its place by root: nobody else may change names there. The server's own user may, as whose
 * files are reached with that user's rights.
 */
function requireClosedAbove(dataDir: string): void {
  if (!isOpenAbove(dataDir)) return;
  const above = dirname(dataDir);
  const text = `The folder ${above} is open for other users to write to, and data is put in place there by this agent, which is root.`;
  const next = `Give engine.dataDir a folder of its own: ${join(above, 'understudy', 'data')}; or run: chmod go-w ${above}`;
  throw new AgentError('RUN_DIR_UNUSABLE', text, { next });
}

/**
 * Whether an agent of this user has run before: an upgrade must not end a member whose data lies in an open folder. The data directory
 * itself proves nothing: whoever may write beside it can make one.
 */
function hasDecidedHere(folder: string, own: number): boolean {
  const found = lstatSync(join(folder, RING_FILE), { throwIfNoEntry: false });
  return found?.isFile() === true && found.uid === own;
}

/** Whether others can exchange what lies beside `dataDir`. With the sticky bit they can change their own names alone. */
function isOpenAbove(dataDir: string): boolean {
  const found = statSync(dirname(dataDir), { throwIfNoEntry: false });
  return found !== undefined && (found.mode & 0o022) !== 0 && (found.mode & 0o1000) === 0;
}

/** What is said as long as it is so, of a member that has its data in such a folder. */
export function placeWarnings({ engine: { dataDir } }: { readonly engine: Pick<NodeConfig['engine'], 'dataDir'> }) {
  if (process.geteuid?.() !== 0 || !isOpenAbove(dataDir)) return [];
  const above = dirname(dataDir);
  return [
    `The folder ${above} is open for other users to write to, and this agent, which is root, puts data in place there. Run: chmod go-w ${above}. A new member would not start so.`,
  ];
}

async function takeLock(runDir: string, who: { readonly member: string; readonly apiUrl: string }): Promise<void> {
  const self = processName(process.pid);
  if (self === null) throw new AgentError('INTERNAL', 'This process is not in /proc: Understudy needs Linux.');
  const content: LockContent = { ...self, bootId: bootId(), member: who.member, apiUrl: who.apiUrl };
  const own = `${lockPath(runDir)}.${process.pid}`;
  await writeFile(own, JSON.stringify(content), { mode: 0o600 });
  try {
    // A stale lock can be taken over by another starter between our look and our move, hence more than one attempt.
    for (let attempt = 0; attempt < 5; attempt++) {
      if (await linked(own, lockPath(runDir))) return;
      const holder = await lockHolder(runDir);
      if (holder !== null) throw alreadyRunning(runDir, holder);
      const stale = `${lockPath(runDir)}.stale.${process.pid}`;
      await rename(lockPath(runDir), stale).catch(() => undefined);
      await rm(stale, { force: true });
    }
    throw new AgentError('AGENT_ALREADY_RUNNING', `Several agents start in ${runDir} at once.`, {
      retry: 'safe',
      next: 'Start only one.',
    });
  } finally {
    await rm(own, { force: true });
  }
}

async function linked(from: string, to: string): Promise<boolean> {
  try {
    await link(from, to);
    return true;
  } catch (error) {
    if (codeOf(error) === 'EEXIST') return false;
    throw error;
  }
}

function alreadyRunning(runDir: string, holder: LockContent): AgentError {
  return new AgentError(
    'AGENT_ALREADY_RUNNING',
    `Process ${holder.pid} is already the agent of ${runDir} (member ${holder.member}, ${holder.apiUrl}).`,
    { next: 'Stop it first, or give this member its own runDir.' },
  );
}

async function readIncarnations(runDir: string): Promise<readonly Incarnation[]> {
  try {
    return z
      .array(z.string())
      .parse(JSON.parse(await readFile(incarnationsPath(runDir), 'utf8')))
      .map(incarnation);
  } catch {
    // The first start, or a file cut short by a crash: then the predecessor's session has to run out first.
    return [];
  }
}
