/** What every engine needs of its host, whatever its server: files that survive a loss of power, what is kept beside a data directory, waits with an end, long work. */

export {
  type AsideBudget,
  folderBytes,
  identityName,
  keepWithinBudget,
  moveAside,
  removeLeftovers,
  type SiblingKind,
  siblingPath,
  siblings,
} from './aside.ts';
export { codeOf } from './errors.ts';
export { makeFolder, type Owner, readIfThere, replaceFile, syncFolder } from './files.ts';
export { isMarkedIncomplete, markIncomplete, unmarkIncomplete } from './incomplete.ts';
export { type JobFailure, type JobHandle, Jobs, type Progress } from './jobs.ts';
export { nearest } from './nearest.ts';
export { monotonicMs, pollUntil, withDeadline } from './waiting.ts';
