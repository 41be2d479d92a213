import { open, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { codeOf, syncFolder } from '@understudy/engine/host';
import { logFiles, relayLogName } from './binlog-files.ts';

/** Makes every file below `folder`, and the folders themselves, durable. */
export async function syncTree(folder: string): Promise<void> {
  for (const entry of await readdir(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) await syncTree(path);
    else if (entry.isFile()) await syncFile(path);
  }
  await syncFolder(folder);
}

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

async function syncFile(path: string): Promise<void> {
  const handle = await open(path, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
