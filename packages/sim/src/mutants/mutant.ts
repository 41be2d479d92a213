import type { FaultKind } from '../faults/fault.ts';
import type { FaultCourse } from '../faults/swarm.ts';
import type { Flavour } from '../server/flavour.ts';

/** One replacement in the text of one source file. */
export interface Edit {
  /** Relative to `packages/`. */
  readonly file: string;
  /** Occurs exactly once in the file. */
  readonly find: string;
  readonly replace: string;
}

/** Where the simulator looks for a mutant: seeds 1 to `withinSeeds` suffice. */
export interface Hunt {
  readonly withinSeeds: number;
  /** PostgreSQL's server when nothing is said. */
  readonly flavour?: Flavour;
  readonly nodes?: number;
  readonly durability?: 'sync' | 'async';
  readonly faults?: readonly FaultKind[];
  /** The course of faults that brings out what is wrong, where chance takes too long. */
  readonly course?: FaultCourse;
}

/**
 * A deliberately wrong variant of the protocol or of its shell, made while the sources are loaded. The simulator has to find it within
 * the stated number of seeds; otherwise it is blind in that place.
 */
export interface Mutant {
  readonly name: string;
  /** What is wrong about it, in a sentence. */
  readonly description: string;
  readonly edits: readonly Edit[];
  readonly hunt: Hunt;
}

/** `source` with the edit made. Throws when the place is not there exactly once: the source has moved on. */
export function applyEdit(mutant: Mutant, edit: Edit, source: string): string {
  const parts = source.split(edit.find);
  if (parts.length !== 2) {
    throw new Error(
      `Mutant ${mutant.name}: its text occurs ${parts.length - 1} times in packages/${edit.file}, not once. Adapt packages/sim/src/mutants/.`,
    );
  }
  return parts.join(edit.replace);
}
