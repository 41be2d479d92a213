/** What every engine needs of its host, whatever its server: files that survive a loss of power, waits with an end, marks beside a data directory. */

export { codeOf } from './errors.ts';
export { makeFolder, type Owner, readIfThere, replaceFile, syncFolder } from './files.ts';
export { isMarkedIncomplete, markIncomplete, unmarkIncomplete } from './incomplete.ts';
export { monotonicMs, pollUntil, withDeadline } from './waiting.ts';
