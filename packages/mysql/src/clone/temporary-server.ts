import { join } from 'node:path';
import { pollUntil } from '@understudy/base';
import { EngineError } from '@understudy/engine';
import { makeFolder, removeFile, removeTree, replaceFile, type ServerProcess } from '@understudy/engine/host';
import { accountStatements } from '../config/accounts.ts';
import { renderConfig } from '../config/file.ts';
import type { Settings } from '../config/settings.ts';
import { accounts } from '../names.ts';
import { logTail, mysqlProcess } from '../process/server-process.ts';
import { ServerSession } from '../sql/session.ts';
import type { CopyHost } from './copy-job.ts';

const startTimeoutMs = 60_000;
const stopTimeoutMs = 300_000;

/** A server that runs for one piece of work, with nobody but the agent able to reach it. */
export interface TemporaryServer {
  readonly session: ServerSession;
  readonly socket: string;
}

/** What becomes of the server after its work: `shut-down` makes durable what it wrote to `dataDir`; `kill` is for one whose own data is worth nothing. */
export type Ending = 'shut-down' | 'kill';

/**
 * Runs `work` on a server that is started on `dataDir` for it, and ended afterwards. When
 * `work` fails, or `signal` fires, the server is killed.
 *
 * @throws EngineError `ENGINE_CLONE_FAILED` when it does not start or stop; whatever `work` throws.
 */
export async function withTemporaryServer<T>(
  instance: CopyHost,
  dataDir: string,
  settings: Settings,
  signal: AbortSignal,
  ending: Ending,
  work: (server: TemporaryServer) => Promise<T>,
): Promise<T> {
  const { paths, owner, programs, options } = instance;
  const file = (name: string): string => join(paths.runDir, `clone.${name}`);
  const [socket, config, initFile, logFile] = [file('sock'), file('cnf'), file('sql'), file('log')];
  const { server: program, libraryPath } = programs;
  const server = mysqlProcess({ program, libraryPath, dataDir, logFile, owner });
  const kill = (): void => void server.kill().catch(() => undefined);
  try {
    await makeFolder(paths.runDir, owner);
    await makeFolder(file('tmp'), owner);
    for (const name of [socket, `${socket}.lock`, logFile]) await removeFile(name);
    await replaceFile(initFile, accountStatements(programs.flavour, options.secrets.admin), owner);
    const own: Settings = [
      ...instance.config.placement(dataDir),
      ['socket', socket],
      ['pid_file', file('pid')],
      ['tmpdir', file('tmp')],
      ['init_file', initFile],
      ['skip_networking', 'ON'],
      ['skip_log_bin', null],
      ['event_scheduler', 'OFF'],
    ];
    await replaceFile(config, renderConfig(null, [...settings, ...own]), owner);
    signal.throwIfAborted();
    await server.start([`--defaults-file=${config}`]);
    signal.addEventListener('abort', kill, { once: true });
    const session = await firstSession(server, options.secrets.admin, socket, signal);
    const result = await work({ session, socket });
    await session.end();
    if (ending === 'kill') return result;
    server.terminate('SIGTERM');
    if ((await server.waitForExit(stopTimeoutMs)) === 'gone') return result;
    throw new EngineError('ENGINE_CLONE_FAILED', 'The server of the new copy did not shut down.', {
      next: 'Look at the disk.',
    });
  } finally {
    signal.removeEventListener('abort', kill);
    await server.kill();
    await removeTree(file('tmp'));
    for (const name of [config, initFile, socket, `${socket}.lock`, file('pid')]) await removeFile(name);
  }
}

async function firstSession(server: ServerProcess, password: string, path: string, signal: AbortSignal) {
  const target = { at: { kind: 'socket', path }, user: accounts.admin, password, tls: null } as const;
  const session = await pollUntil(
    async () => {
      if (server.running === null) {
        const text = `The server of the new copy ended (${server.lastExit ?? 'killed'}): ${await logTail(server, 4)}`;
        throw new EngineError('ENGINE_CLONE_FAILED', text);
      }
      return ServerSession.open(target, 2000).catch(() => null);
    },
    { everyMs: 20, timeoutMs: startTimeoutMs, signal },
  );
  if (session !== null) return session;
  throw new EngineError(
    'ENGINE_CLONE_FAILED',
    `The server of the new copy did not answer: ${await logTail(server, 4)}`,
  );
}
