/** What every engine needs of its host, whatever its server: files that survive a loss of power, what is kept beside a data directory, waits with an end, long work. */

export {
  folderBytes,
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
export { codeOf, isSqlState } from './errors.ts';
export { makeFolder, type Owner, readIfThere, replaceFile, syncFolder } from './files.ts';
export { isMarkedIncomplete, markIncomplete, unmarkIncomplete } from './incomplete.ts';
export { type JobFailure, type JobHandle, Jobs, type Progress } from './jobs.ts';
export { KeptFolders } from './kept.ts';
export { isLoopback } from './loopback.ts';
export { nearest } from './nearest.ts';
export { linksIn, realDataDir } from './place.ts';
export { StartCount } from './starts.ts';
export { monotonicMs, pollUntil, withDeadline } from './waiting.ts';
