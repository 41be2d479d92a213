import { join } from 'node:path';
import { entryAt } from '@understudy/engine/host';
import { logFiles, programOf, runProgram } from '@understudy/mysql/parts';
import { type LogTransaction, readDecodedLog } from '../decide/rows.ts';
import type { PairServer } from './server.ts';

const decodeTimeoutMs = 20_000;
/** The newest files of a log that are looked through, and how much of it: what is asked for has just been written. */
const filesMax = 4;
const bytesMax = 256 * 1024 * 1024;

/**
 * Reads transactions from a server's own log, with their rows. The server need not run.
 *
 * @param gtids what is wanted, as text: a set (MySQL), or GTIDs of single transactions (MariaDB).
 * @returns those that were found; a transaction of more than about a megabyte of text may be missing.
 * @throws EngineError `ENGINE_BINARY_MISSING` when the program that reads logs is not installed.
 */
export async function readLog(server: PairServer, gtids: LogQuery): Promise<readonly LogTransaction[]> {
  const { programs, options, owner, paths } = server;
  const program = programOf(programs.binlog, programs.flavour === 'mysql' ? 'mysqlbinlog' : 'mariadb-binlog');
  const found: LogTransaction[] = [];
  let bytes = 0;
  for (const name of (await logFiles(options.dataDir, 'binlog')).toReversed().slice(0, filesMax)) {
    const file = join(options.dataDir, name);
    bytes += (await entryAt(file))?.size ?? 0;
    if (bytes > bytesMax) break;
    const filter = programs.flavour === 'mysql' ? [`--include-gtids=${gtids.text}`] : [];
    const args = ['--no-defaults', '--base64-output=DECODE-ROWS', '-v', ...filter, file];
    const { output } = await runProgram(program, args, {
      home: paths.runDir,
      libraryPath: programs.libraryPath,
      owner,
      timeoutMs: decodeTimeoutMs,
      failure: 'ENGINE_TIMEOUT',
    });
    found.unshift(...readDecodedLog(output).filter(({ gtid }) => gtids.has(gtid)));
    if (found.length >= gtids.count) break;
  }
  return found;
}

/** Which transactions are looked for. */
export interface LogQuery {
  readonly text: string;
  readonly count: number;
  readonly has: (gtid: string) => boolean;
}
