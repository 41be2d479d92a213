import { allProcesses, argumentsOf, environmentOf, linkOf, type ProcessInfo } from '@understudy/base/processes';

/** What tells a node's (or a cluster's) processes from others. */
export interface ProcessMark {
  /** Environment variable that agents and their children carry, as `NAME=value`. */
  readonly variable: string;
  /** Database servers drop their environment but work in, or name, a folder below this one. */
  readonly folder: string;
}

/** Kernel's names of programs that a node's agent runs without the mark. Anything else in the folder (a shell) is none of ours. */
const serverPrograms = new Set([
  'postgres',
  'initdb',
  'pg_rewind',
  'pg_basebackup',
  'pg_ctl',
  'pg_controldata',
  'etcd',
  'mysqld',
  'mariadbd',
  'mariadb-backup',
  'mbstream',
  // A program that was fetched with its own C library: the kernel names it after that library's loader.
  'ld-linux-x86-64',
]);

/**
 * Every process that belongs to a node (or a cluster): those that carry its mark, database programs that work below its folder, and
 * what descends from such a one. This process itself is never among them.
 */
export function processesOf(mark: ProcessMark): ProcessInfo[] {
  const all = allProcesses();
  const chosen = new Set<number>();
  for (const each of all) if (each.pid !== process.pid && isMarked(each, mark)) chosen.add(each.pid);
  for (let grown = true; grown; ) {
    grown = false;
    for (const { pid, parent } of all) {
      if (chosen.has(parent) && !chosen.has(pid) && pid !== process.pid) {
        chosen.add(pid);
        grown = true;
      }
    }
  }
  return all.filter(({ pid }) => chosen.has(pid));
}

function isMarked({ pid, program }: ProcessInfo, { variable, folder }: ProcessMark): boolean {
  if (environmentOf(pid).includes(variable)) return true;
  if (!serverPrograms.has(program)) return false;
  const isBelow = linkOf(pid, 'cwd')?.startsWith(`${folder}/`) ?? false;
  return isBelow || argumentsOf(pid).some((argument) => argument.includes(`${folder}/`));
}
