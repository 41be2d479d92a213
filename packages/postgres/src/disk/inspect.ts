import { basename, join } from 'node:path';
import { codeOf } from '@understudy/base';
import { type EngineState, systemId } from '@understudy/core';
import { type DiskState as AnyDiskState, identityName, inspectData, readIfThere } from '@understudy/engine/host';
import { type ControlFile, ControlFileProblem, readControlFile } from './control-file.ts';
import { type DataIdentity, type ExpectedData, parseIdentity } from './identity.ts';
import { checkpointEnd, positionOf } from './wal.ts';

/** What lies on the disk while no server runs. */
export type DiskState = AnyDiskState<{ readonly control: ControlFile }>;

/** Looks at a data directory without changing anything; problems become `refused`. */
export const inspectDisk = (dataDir: string, expected: ExpectedData): Promise<DiskState> =>
  inspectData(dataDir, async () => {
    const problem = await foreignProblem(dataDir, expected);
    return problem === null ? readUsable(dataDir) : { kind: 'refused', problem };
  });

async function foreignProblem(dataDir: string, expected: ExpectedData): Promise<string | null> {
  const next = 'Move it away, or configure another data directory.';
  const version = (await readIfThere(join(dataDir, 'PG_VERSION')))?.trim();
  if (version === undefined) return `${dataDir} is not empty and not a PostgreSQL data directory. ${next}`;
  const text = await readIfThere(join(dataDir, identityName));
  if (text === null) {
    return `${dataDir} holds a PostgreSQL ${version} database that Understudy did not make (no ${identityName}). ${next}`;
  }
  const identity = parseIdentity(text);
  if (identity === null) return `${join(dataDir, identityName)} is damaged. ${next}`;
  if (identity.cluster !== expected.cluster) {
    return `${dataDir} belongs to the cluster "${identity.cluster}", not to "${expected.cluster}". ${next}`;
  }
  if (version !== String(expected.major)) {
    return `${dataDir} was made by PostgreSQL ${version}, the programs are PostgreSQL ${expected.major}. Use the programs of version ${version}, or upgrade the data directory.`;
  }
  const control = await readControlFile(dataDir).catch((error: unknown) => error);
  if (control instanceof ControlFileProblem || codeOf(control) === 'ENOENT') return null;
  if (control instanceof Error) throw control;
  return sameSystem(control, identity) ? null : foreignSystem(dataDir, identity, control, next);
}

function sameSystem(control: unknown, identity: DataIdentity): boolean {
  return isControl(control) && control.systemId === identity.systemId;
}

function foreignSystem(dataDir: string, identity: DataIdentity, control: unknown, next: string): string {
  const found = isControl(control) ? control.systemId : 'unknown';
  return `${dataDir} has the system identifier ${found}, but it was made with ${identity.systemId}: its files were exchanged. ${next}`;
}

function isControl(value: unknown): value is ControlFile {
  return typeof value === 'object' && value !== null && 'systemId' in value;
}

async function readUsable(dataDir: string): Promise<DiskState> {
  try {
    return { kind: 'usable', control: await readControlFile(dataDir) };
  } catch (error) {
    if (!(error instanceof ControlFileProblem) && codeOf(error) !== 'ENOENT') throw error;
    const what = error instanceof ControlFileProblem ? error.message : 'is missing';
    const next = `Restore it, or move ${basename(dataDir)} away so that it is copied anew.`;
    return { kind: 'refused', problem: `${join(dataDir, 'global', 'pg_control')} ${what}. ${next}`, data: 'damaged' };
  }
}

/** The engine's state while no server runs. */
export async function stoppedState(dataDir: string, disk: DiskState): Promise<EngineState> {
  if (disk.kind !== 'usable') return disk;
  const { control } = disk;
  const id = systemId(control.systemId);
  if (control.state === 'shut down') {
    const end = await checkpointEnd(dataDir, control);
    const position = end === null ? null : await positionOf(dataDir, control.timeline, end);
    return { kind: 'stopped', shutdown: 'clean', position, systemId: id };
  }
  // A replica's log may reach further than its control file says (P7): only reading it to its end tells.
  const shutdown = control.state === 'shut down in recovery' ? 'clean' : 'crashed';
  return { kind: 'stopped', shutdown, position: null, systemId: id };
}
