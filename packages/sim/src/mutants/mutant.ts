/**
 * A deliberately wrong variant of the protocol or of its shell: a replacement in the text of one source file, made while it is loaded.
 * The simulator has to find it within the stated number of seeds; otherwise the simulator is blind in that place.
 */
export interface Mutant {
  readonly name: string;
  /** What is wrong about it, in a sentence. */
  readonly description: string;
  /** Relative to `packages/`. */
  readonly file: string;
  /** Occurs exactly once in the file. */
  readonly find: string;
  readonly replace: string;
  /** Seeds 1 to this many suffice. */
  readonly withinSeeds: number;
  /** Fixed number of nodes for the search; null: as drawn. */
  readonly nodes: number | null;
}

/** The source with the mutation made. Throws when the place is not there exactly once: the source has moved on. */
export function mutate(mutant: Mutant, source: string): string {
  const parts = source.split(mutant.find);
  if (parts.length !== 2) {
    throw new Error(
      `Mutant ${mutant.name}: its text occurs ${parts.length - 1} times in ${mutant.file}, not once. Adapt packages/sim/src/mutants/.`,
    );
  }
  return parts.join(mutant.replace);
}
