import { dirname } from 'node:path';
import { memberId } from '@understudy/core';
import { removeTree, renameTo, syncFolder } from '@understudy/engine/host';
import { copyByDump, copyByPlugin, siblingPath } from '@understudy/mysql/parts';
import type { PairServer } from '../server/server.ts';

/**
 * Replaces a server's data by a new copy of the other's. The old data is moved aside and stays there: it may be the only copy
 * of what the two servers did not agree on.
 *
 * @returns where the old data is.
 * @throws EngineError `ENGINE_CLONE_FAILED`, `ENGINE_DISK_FULL`, `ENGINE_BINARY_MISSING`; the old data is in place then.
 */
export async function copyAnew(server: PairServer, source: PairServer, signal: AbortSignal): Promise<string> {
  const { dataDir } = server.options;
  const target = siblingPath(dataDir, 'clone');
  const aside = siblingPath(dataDir, 'aside');
  await server.stop();
  try {
    const { host, port } = source.options.listen;
    const from = { id: memberId(source.name), host, port };
    const copy = server.dialect.gtids === 'sets' ? copyByPlugin : copyByDump;
    // Both were made with the parameters of the pair.
    const like = { made: server.config.forMaking(), alike: server.config.alike() };
    await copy(server, { from, target, totalBytes: null, ...like, progress: () => undefined, signal });
    await renameTo(dataDir, aside);
    await renameTo(target, dataDir);
    await syncFolder(dirname(dataDir));
  } finally {
    await removeTree(target);
  }
  return aside;
}
