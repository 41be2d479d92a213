import { join } from 'node:path';
import { codeOf } from '@understudy/base';
import { syncFile, syncFolder } from '@understudy/engine/host';
import { logFiles, relayLogName } from './binlog-files.ts';

/** Puts on the disk whatever the relay log of a data directory holds, also while its server writes it. */
export async function syncRelayLog(dataDir: string): Promise<void> {
  for (const name of [...(await logFiles(dataDir, relayLogName)), `${relayLogName}.index`]) {
    await syncFile(join(dataDir, name)).catch((error: unknown) => {
      // Applied to its end, and removed meanwhile.
      if (codeOf(error) !== 'ENOENT') throw error;
    });
  }
  await syncFolder(dataDir);
}
