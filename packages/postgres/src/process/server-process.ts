import { isAbsolute, join } from 'node:path';
import {
  entryAt,
  type LogFile,
  type Owner,
  type RunningServer,
  readIfThere,
  removeFile,
  type ServerKind,
  ServerProcess,
  serverProcesses,
  worksIn,
} from '@understudy/engine/host';
import { serverEnvironment } from './program.ts';

/** A server has one for each format. */
const collectedLogsMax = 4;

/** All processes of a server are children of the first one, and keep its name and its working directory. */
const isServer: ServerKind['isServer'] = ({ name }) => name === 'postgres';

/** Every server process of a data directory, whoever started it and however orphaned it is. */
export const postgresProcesses = (dataDir: string): Promise<readonly number[]> => serverProcesses(dataDir, isServer);

const pidFileOf = (dataDir: string): string => join(dataDir, 'postmaster.pid');

async function find(dataDir: string): Promise<number | null> {
  const text = await readIfThere(pidFileOf(dataDir)).catch(() => null);
  const pid = Number((text ?? '').split('\n')[0]);
  return Number.isInteger(pid) && pid > 1 && (await worksIn(pid, dataDir, isServer)) ? pid : null;
}

/** The files of the server's own collector of messages, where one is configured. It appends to all of them. */
export async function collectedLogs(dataDir: string): Promise<readonly LogFile[]> {
  const [text, folder] = await Promise.all([
    readIfThere(join(dataDir, 'current_logfiles')).catch(() => null),
    entryAt(dataDir),
  ]);
  const named = (text ?? '').split('\n').flatMap((line) => (/^\S+ (.+)$/.exec(line)?.[1] ?? '') || []);
  const by = folder === null || folder.uid === process.geteuid?.() ? null : { uid: folder.uid, gid: folder.gid };
  return named.slice(0, collectedLogsMax).map((file) => ({ path: isAbsolute(file) ? file : join(dataDir, file), by }));
}

const kind: ServerKind = { isServer, find, otherLogs: collectedLogs };

export interface PostgresProcessOptions {
  readonly program: string;
  readonly libraryPath: string | undefined;
  readonly dataDir: string;
  readonly logFile: string;
  readonly owner: Owner;
}

/** The process of one PostgreSQL server; nothing is started. */
export function postgresProcess({ libraryPath, ...options }: PostgresProcessOptions): ServerProcess {
  return new ServerProcess({ ...options, kind, environment: serverEnvironment(options.dataDir, libraryPath) });
}

/** Starts the server on its data directory. The id of a killed one is removed: the server would believe it for as long as that process exists. */
export function startOn(server: ServerProcess, dataDir: string, args: readonly string[]): Promise<RunningServer> {
  return server.start(['-D', dataDir, ...args], () => removeFile(pidFileOf(dataDir)));
}
