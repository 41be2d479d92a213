import { join } from 'node:path';
import { monotonicMs, pollUntil } from '@understudy/base';
import { signalPid } from '@understudy/base/processes';
import { openToChange, readAt, withFile } from '@understudy/engine/host';
import type { LocalCluster, LocalNode } from '@understudy/local';
import type { Spot } from '../database/database.ts';
import { databaseFor } from '../database/index.ts';
import { DrillError } from '../errors.ts';
import { withAdmin } from '../run/sql.ts';
import type { Fault } from './fault.ts';

const receivedWithinMs = 15_000;
/** So much must have been received and not applied: several transactions, whatever the engine. */
const bytesMin = 8192;

/**
 * A byte of what a replica has received and not applied yet is damaged while its host is down. It must come back whole (its data copied
 * or received anew) and must neither apply the damage nor leave anything out.
 */
export const replicaRelayCorrupt: Fault = {
  name: 'replica-relay-corrupt',
  text: "a replica's host is killed, and a byte of what it received and has not applied is damaged before it starts again",
  needs: 'nothing',
  holdMs: 0,
  writes: 'go-on',
  inject: async ({ cluster, replicas, signal, say }) => {
    const [replica] = replicas;
    if (replica === undefined) throw new DrillError('FAULT_FAILED', 'There is no replica to damage.');
    // Its agent would let it go on applying.
    for (const { pid } of [...replica.agents(), ...replica.guards()]) signalPid(pid, 'SIGSTOP');
    const spot = await receiveWithoutApplying(cluster, replica, signal);
    const atMs = monotonicMs();
    await replica.killHost();
    const at = await damage(join(replica.paths.dataDir, spot.file), spot);
    say(`byte ${at} of ${spot.file} on ${replica.name} is damaged`);
    // Where it is the only one that acknowledges, writes wait for it.
    replica.start();
    return { atMs, heal: async () => undefined };
  },
};

async function receiveWithoutApplying(
  cluster: LocalCluster,
  { name, paths }: LocalNode,
  signal: AbortSignal,
): Promise<Spot> {
  const database = databaseFor(cluster);
  const spot = await withAdmin(cluster, name, database.adminDatabase, async (session) => {
    await database.stopApplying(session);
    const found = await pollUntil(
      async () => {
        const found = await database.unapplied(session, paths.dataDir);
        return found !== null && found.toByte - found.fromByte >= bytesMin ? found : null;
      },
      { everyMs: 50, timeoutMs: receivedWithinMs, signal },
    );
    await database.closeReceived(session);
    return found;
  });
  if (spot !== null) return spot;
  throw new DrillError(
    'FAULT_FAILED',
    `${name} did not receive ${bytesMin} bytes within ${receivedWithinMs / 1000} s.`,
  );
}

/** Turns over the byte in the middle of a spot. @returns where it is in the file */
async function damage(path: string, { fromByte, toByte }: Spot): Promise<number> {
  const at = Math.floor((fromByte + toByte) / 2);
  await withFile(openToChange(path), async (file) => {
    const byte = await readAt(file, at, 1);
    byte.writeUInt8(byte.readUInt8() ^ 0xff);
    await file.write(byte, 0, 1, at);
    await file.sync();
  });
  return at;
}
