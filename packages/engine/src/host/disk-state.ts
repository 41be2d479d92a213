import { codeOf, reasonOf } from '@understudy/base';
import { namesIn } from './files.ts';
import { isMarkedIncomplete } from './incomplete.ts';

/** What lies on the disk while no server runs. @typeParam Found what an engine reads of data that it can use. */
export type DiskState<Found> =
  | { readonly kind: 'absent' }
  | { readonly kind: 'incomplete' }
  /** `damaged`: of this member, and no server starts with it. */
  | { readonly kind: 'refused'; readonly problem: string; readonly data?: 'damaged' }
  | ({ readonly kind: 'usable' } & Found);

/**
 * Looks at a data directory without changing anything; problems become `refused`.
 *
 * @param look looks at one that holds something and is complete. What it throws is a disk that cannot be read.
 */
export async function inspectData<Found>(
  dataDir: string,
  look: (names: readonly string[]) => Promise<DiskState<Found>>,
): Promise<DiskState<Found>> {
  try {
    const names = await namesIn(dataDir).catch((error: unknown): readonly string[] => {
      if (codeOf(error) === 'ENOENT') return [];
      throw error;
    });
    if (names.length === 0) return { kind: 'absent' };
    if (await isMarkedIncomplete(dataDir)) return { kind: 'incomplete' };
    return await look(names);
  } catch (error) {
    const problem = `The data directory ${dataDir} cannot be read: ${reasonOf(error)}.`;
    return { kind: 'refused', problem: `${problem} Repair the disk or its permissions.` };
  }
}
