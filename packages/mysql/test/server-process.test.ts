// What a server that ended is reported to have said. Method: a program that writes what a server would, and ends.
import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { logTail, mysqlProcess } from '../src/process/server-process.ts';

test('errors of an earlier start are not those of this one', async (context) => {
  const dataDir = await mkdtemp(join(tmpdir(), 'us-words-'));
  context.after(() => rm(dataDir, { recursive: true, force: true }));
  const logFile = join(dataDir, 'server.log');
  await writeFile(logFile, '[ERROR] Disk is full writing ./binlog.000001\n');
  const server = mysqlProcess({ program: 'sh', libraryPath: undefined, dataDir, logFile, owner: null });
  const run = async (words: string): Promise<string> => {
    await server.start(['-c', `printf '${words}'; exit 1`]);
    assert.equal(await server.waitForExit(5000), 'gone');
    return logTail(server, 4);
  };
  assert.equal(await run('starting as process 7\\n'), 'starting as process 7');
  assert.equal(await run('[ERROR] unknown option\\nShutdown complete\\n'), '[ERROR] unknown option');
  assert.equal(await run('[Note] killed\\n'), '[Note] killed');
});
