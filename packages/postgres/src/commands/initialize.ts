import { join } from 'node:path';
import { EngineError } from '@understudy/engine';
import {
  makeFolder,
  moveAside,
  removeFile,
  removeTree,
  renameTo,
  replaceFile,
  siblingPath,
  siblings,
  unmarkIncomplete,
} from '@understudy/engine/host';
import { readControlFile } from '../disk/control-file.ts';
import { writeIdentity } from '../disk/identity.ts';
import { inspectDisk } from '../disk/inspect.ts';
import { engineError, isDiskFull } from '../errors.ts';
import type { Instance } from '../instance.ts';
import { roles } from '../names.ts';
import { runProgram, tail } from '../process/program.ts';

/**
 * Makes a new, empty database in a folder beside the data directory and puts it in place when it is complete.
 *
 * @throws EngineError `ENGINE_DATA_REFUSED` when the data directory is not empty; `ENGINE_DISK_FULL`, `ENGINE_START_FAILED`.
 */
export async function initialize(instance: Instance, signal: AbortSignal): Promise<void> {
  const { options, owner, paths } = instance;
  const disk = await inspectDisk(options.dataDir, instance.expected);
  if (disk.kind !== 'absent' && disk.kind !== 'incomplete') {
    const text = `${options.dataDir} is not empty, so no new database is made there.`;
    throw new EngineError('ENGINE_DATA_REFUSED', text);
  }
  for (const leftover of await siblings(options.dataDir, 'init')) await removeTree(leftover);
  const target = siblingPath(options.dataDir, 'init');
  const passwordFile = join(paths.runDir, 'initdb.pass');
  try {
    await makeFolder(paths.runDir, owner);
    await makeFolder(target, owner);
    await replaceFile(passwordFile, `${options.secrets.superuser}\n`, owner);
    await runInitdb(instance, target, passwordFile, signal);
    const control = await readControlFile(target);
    const identity = {
      cluster: options.cluster,
      member: options.member,
      systemId: control.systemId,
      major: instance.expected.major,
    };
    await writeIdentity(target, identity, owner);
    await moveAside(options.dataDir, {
      why: 'a rewind here was not finished when a new database was made',
      history: 'unproven',
    });
    await renameTo(target, options.dataDir);
    await unmarkIncomplete(options.dataDir);
  } catch (error) {
    await removeTree(target);
    throw engineError('ENGINE_START_FAILED', 'Making a new database', error, 'safe');
  } finally {
    await removeFile(passwordFile);
  }
}

async function runInitdb(instance: Instance, target: string, passwordFile: string, signal: AbortSignal): Promise<void> {
  const { options, owner } = instance;
  const args = [
    '--pgdata',
    target,
    '--username',
    roles.superuser,
    '--pwfile',
    passwordFile,
    '--auth-host=scram-sha-256',
    '--auth-local=scram-sha-256',
    '--data-checksums',
    '--encoding=UTF8',
    '--locale=C.UTF-8',
    ...options.initdbArgs,
  ];
  const { code, output } = await runProgram(join(options.binaries.binDir, 'initdb'), args, {
    home: target,
    libraryPath: options.binaries.libraryPath,
    owner,
    timeoutMs: 120_000,
    signal,
    failure: 'ENGINE_START_FAILED',
  });
  if (code === 0) return;
  const full = isDiskFull(new Error(output));
  const text = `initdb failed (exit code ${code}): ${tail(output)}`;
  throw new EngineError(full ? 'ENGINE_DISK_FULL' : 'ENGINE_START_FAILED', text, { retry: 'safe' });
}
