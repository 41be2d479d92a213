import { type Owner, readEnd, type ServerKind, ServerProcess, serverProcesses } from '@understudy/engine/host';
import { serverEnvironment } from './program.ts';

/** The program may have been started through another loader, so its name can stand anywhere in the arguments. */
const isServer: ServerKind['isServer'] = ({ args }) => args.some((arg) => /(^|\/)(mysqld|mariadbd)(\.elf)?$/.test(arg));

/** Every server process of a data directory, whoever started it. */
export const mysqlProcesses = (dataDir: string): Promise<readonly number[]> => serverProcesses(dataDir, isServer);

const kind: ServerKind = {
  isServer,
  find: async (dataDir) => (await mysqlProcesses(dataDir))[0] ?? null,
};

export interface MysqlProcessOptions {
  readonly program: string;
  readonly libraryPath: string | undefined;
  readonly dataDir: string;
  readonly logFile: string;
  readonly owner: Owner;
}

/** The process of one MySQL or MariaDB server; nothing is started. */
export function mysqlProcess({ libraryPath, ...options }: MysqlProcessOptions): ServerProcess {
  return new ServerProcess({ ...options, kind, environment: serverEnvironment(options.dataDir, libraryPath) });
}

/** The last lines of a server's log that say something, for error messages. */
export async function logTail(logFile: string, lines: number): Promise<string> {
  const { text } = await readEnd(logFile, 16_384).catch(() => ({ text: '' }));
  const all = text.trim().split('\n');
  const telling = all.filter((line) => /\[ERROR\]/.test(line));
  return (telling.length > 0 ? telling : all).slice(-lines).join(' / ');
}
