import { basename, join } from 'node:path';
import type { EngineState } from '@understudy/core';
import { type DiskState as AnyDiskState, identityName, inspectData, readIfThere } from '@understudy/engine/host';
import { isNewer } from '../programs.ts';
import { newestBinlog } from './binlog-files.ts';
import { type DataIdentity, type ExpectedData, parseIdentity, positionOfEnd, systemIdOf } from './identity.ts';

const next = 'Move it away, or configure another data directory.';
const productNames = { mysql: 'MySQL', mariadb: 'MariaDB' } as const;
/** Without these no server has a database; one that lacks some of them was half copied. */
const neededFiles = ['ibdata1', 'mysql'];

/** What lies on the disk while no server runs. */
export type DiskState = AnyDiskState<{ readonly identity: DataIdentity }>;

/** Looks at a data directory without changing anything; problems become `refused`. */
export const inspectDisk = (dataDir: string, expected: ExpectedData): Promise<DiskState> =>
  inspectData(dataDir, async (names) => {
    const text = await readIfThere(join(dataDir, identityName));
    if (text === null) return refused(strangerProblem(dataDir, names));
    const identity = parseIdentity(text);
    if (identity === null) return refused(`${join(dataDir, identityName)} is damaged. ${next}`);
    const problem = foreignProblem(dataDir, identity, expected) ?? (await writtenProblem(dataDir, expected));
    if (problem !== null) return refused(problem);
    const lack = contentProblem(dataDir, names);
    return lack === null ? { kind: 'usable', identity } : { kind: 'refused', problem: lack, data: 'damaged' };
  });

const refused = (problem: string): DiskState => ({ kind: 'refused', problem });

function strangerProblem(dataDir: string, names: readonly string[]): string {
  return names.includes('ibdata1')
    ? `${dataDir} holds a database that Understudy did not make (no ${identityName}). ${next}`
    : `${dataDir} is not empty and not a data directory of MySQL or MariaDB. ${next}`;
}

function foreignProblem(dataDir: string, identity: DataIdentity, expected: ExpectedData): string | null {
  if (identity.cluster !== expected.cluster) {
    return `${dataDir} belongs to the cluster "${identity.cluster}", not to "${expected.cluster}". ${next}`;
  }
  if (identity.flavour !== expected.flavour) {
    const [has, wants] = [productNames[identity.flavour], productNames[expected.flavour]];
    return `${dataDir} is a data directory of ${has}, the programs are ${wants}. Use the programs of ${has}, or another data directory.`;
  }
  return versionProblem(dataDir, identity.version, expected);
}

function versionProblem(dataDir: string, version: string, expected: ExpectedData): string | null {
  // Within a series the formats stay as they are; an older series cannot read what a newer one wrote.
  if (!isNewer(version, expected.version, 2)) return null;
  const text = `${dataDir} was last used by version ${version}, the programs are the older ${expected.version}.`;
  return `${text} Install version ${version} or a newer one.`;
}

function contentProblem(dataDir: string, names: readonly string[]): string | null {
  const missing = neededFiles.filter((name) => !names.includes(name));
  if (missing.length === 0) return null;
  const text = `${dataDir} lacks ${missing.join(' and ')}, without which there is no database.`;
  return `${text} Restore what is missing, or move ${basename(dataDir)} away so that it is copied anew.`;
}

async function writtenProblem(dataDir: string, expected: ExpectedData): Promise<string | null> {
  const version = await writtenVersion(dataDir);
  return version === null ? null : versionProblem(dataDir, version, expected);
}

/** The version that the server itself noted at its last upgrade; null when it noted none. */
async function writtenVersion(dataDir: string): Promise<string | null> {
  for (const name of ['mysql_upgrade_history', 'mariadb_upgrade_info', 'mysql_upgrade_info']) {
    const text = await readIfThere(join(dataDir, name));
    const versions = [...(text ?? '').matchAll(/(?:"version":"|^)(\d+\.\d+\.\d+)/g)].map((match) => match[1]);
    const last = versions.at(-1);
    if (last !== undefined) return last;
  }
  return null;
}

/** The engine's state while no server runs. */
export async function stoppedState(dataDir: string, disk: DiskState): Promise<EngineState> {
  if (disk.kind !== 'usable') return disk;
  const { identity } = disk;
  const systemId = systemIdOf(identity);
  const crashed = { kind: 'stopped', shutdown: 'crashed', position: null, systemId } as const;
  if (identity.end === null) return crashed;
  // A server that somebody else started meanwhile has written a log of its own.
  const log = await newestBinlog(dataDir);
  if (log?.name !== identity.end.log?.name || log?.sizeBytes !== identity.end.log?.sizeBytes) return crashed;
  return { kind: 'stopped', shutdown: 'clean', position: positionOfEnd(identity.end), systemId };
}
