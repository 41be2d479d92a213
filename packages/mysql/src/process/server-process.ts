import { type Owner, type ServerKind, ServerProcess, serverProcesses } from '@understudy/engine/host';
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

/** Room for the warnings among which the errors are. */
const lastWordsBytes = 16_384;

/** The last lines that say something of what a server has written since it was started, for error messages. */
export async function logTail(server: ServerProcess, lines: number): Promise<string> {
  const all = (await server.lastWords(lastWordsBytes)).trim().split('\n');
  const telling = all.filter((line) => /\[ERROR\]/.test(line));
  return (telling.length > 0 ? telling : all).slice(-lines).join(' / ');
}
