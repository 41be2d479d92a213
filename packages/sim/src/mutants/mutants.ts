import { CORE_MUTANTS } from './core-mutants.ts';
import { FENCING_MUTANTS } from './fencing-mutants.ts';
import { GTID_MUTANTS } from './gtid-mutants.ts';
import { LOG_END_MUTANTS } from './log-end-mutants.ts';
import { MEDDLE_MUTANTS } from './meddle-mutants.ts';
import { MEDDLE_POSTGRES_MUTANTS } from './meddle-postgres-mutants.ts';
import type { Mutant } from './mutant.ts';
import { PUT_BACK_MUTANTS } from './put-back-mutants.ts';
import { SHELL_MUTANTS } from './shell-mutants.ts';
import { TREE_MUTANTS } from './tree-mutants.ts';

/** Every mutant that the simulator must find. */
export const MUTANTS: readonly Mutant[] = [
  ...CORE_MUTANTS,
  ...FENCING_MUTANTS,
  ...SHELL_MUTANTS,
  ...GTID_MUTANTS,
  ...LOG_END_MUTANTS,
  ...MEDDLE_MUTANTS,
  ...MEDDLE_POSTGRES_MUTANTS,
  ...TREE_MUTANTS,
  ...PUT_BACK_MUTANTS,
];

/** The mutant of that name. Throws with the names there are. */
export function mutantNamed(name: string): Mutant {
  const found = MUTANTS.find((mutant) => mutant.name === name);
  if (found === undefined) {
    throw new Error(`There is no mutant "${name}"; there are: ${MUTANTS.map((mutant) => mutant.name).join(', ')}.`);
  }
  return found;
}
