/** What every engine needs of its host, whatever its server: files that survive a loss of power, what is kept beside a data directory, waits with an end, long work. */

export {
  identityName,
  type KeptNote,
  linkedLog,
  linkedLogOf,
  moveAside,
  noteKept,
  removeData,
  removeLeftovers,
  type SiblingKind,
  siblingPath,
  siblings,
  stamp,
} from './aside.ts';
export { certificateWarnings, type OwnCertificate, ownCertificate } from './certificate.ts';
export { type DiskState, inspectData } from './disk-state.ts';
export type { CommandOf, Log, LogEntry, Opening, OutgoingCopies, ServerAdapter } from './engine/adapter.ts';
export { notStartable, refuseToReplacePrimary, requireRoom, stoppedTooLate } from './engine/refusals.ts';
export { ServerEngine } from './engine/server-engine.ts';
export { engineError, isDiskFull, isReadOnlyDisk, isSqlState } from './errors.ts';
export {
  boundLog,
  type CopyOptions,
  claimFolder,
  copyFile,
  createFile,
  type Entry,
  entryAt,
  freeBytes,
  isThere,
  listFolder,
  makeFolder,
  makeLink,
  namesIn,
  type Owner,
  openLog,
  openToChange,
  openToRead,
  readAt,
  readBytes,
  readEnd,
  readIfThere,
  removeFile,
  renameTo,
  replaceFile,
  replaceWith,
  setFolderMode,
  syncFile,
  syncFolder,
  withFile,
} from './files.ts';
export { isMarkedIncomplete, markIncomplete, unmarkIncomplete } from './incomplete.ts';
export { type JobFailure, type JobHandle, Jobs, type Progress } from './jobs.ts';
export { KeptFolders } from './kept.ts';
export { bareHost, isLoopback } from './loopback.ts';
export { nearest } from './nearest.ts';
export { Probe, type Probed, type ProbeSubject } from './observe/probe.ts';
export { ServerFacts } from './observe/server-facts.ts';
export { ServerWatch, type WatchSubject } from './observe/server-watch.ts';
export { SilenceMeter } from './observe/silence.ts';
export { linksIn, realDataDir } from './place.ts';
export { requireFreePort } from './process/port.ts';
export {
  childrenOf,
  killProcessesWith,
  serverProcesses,
  type TitledProcess,
  worksIn,
} from './process/proc.ts';
export {
  cleanEnvironment,
  type End,
  endOf,
  lastLines,
  type ProgramOptions,
  runProgram,
  spawnProgram,
} from './process/program.ts';
export type { LogFile } from './process/server-log.ts';
export { type RunningServer, type ServerKind, ServerProcess } from './process/server-process.ts';
export { exchangeableAbove, PathError, type Rights, realFolder } from './reach.ts';
export { StartCount } from './starts.ts';
export { copyFolder, folderBytes, removeTree, syncTree } from './tree.ts';
