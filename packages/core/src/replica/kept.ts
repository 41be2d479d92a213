/**
 * What is kept of data that was replaced, beside a member's data directory: which of it may go by itself, and when there is so much that
 * no further copy is made by itself. Only what is proven to be in the cluster's history ever goes without a word of an operator.
 */

/** A data directory that was moved aside (`aside`), or the part of a log that only this member had (`fork`). */
export interface KeptFolder {
  readonly name: string;
  readonly kind: 'aside' | 'fork';
  readonly bytes: number;
  /** `contained`: everything in it was in the leader's history, by what both servers said when it was replaced. */
  readonly history: 'contained' | 'unproven';
}

export interface KeptBudget {
  readonly maxBytes: number;
  /** How many of each kind are kept that are contained. */
  readonly keep: number;
}

export interface KeptPlan {
  /** Names of those that may go, oldest first. */
  readonly remove: readonly string[];
  /** What the budget holds against further copies: what may be the only copy, and is more than it allows. Empty when it allows more. */
  readonly holding: readonly string[];
  readonly heldBytes: number;
}

/** @param folders oldest first. The newest of each kind is never among those that may go. */
export function planKept(folders: readonly KeptFolder[], budget: KeptBudget): KeptPlan {
  const remove = (['aside', 'fork'] as const).flatMap((kind) =>
    removable(
      folders.filter((folder) => folder.kind === kind),
      budget,
    ),
  );
  const unproven = folders.filter(({ history }) => history === 'unproven');
  const heldBytes = sum(unproven);
  const holding = heldBytes > budget.maxBytes ? unproven.map(({ name }) => name) : [];
  return { remove, holding, heldBytes };
}

function removable(folders: readonly KeptFolder[], { keep, maxBytes }: KeptBudget): readonly string[] {
  const contained = folders.filter(({ history }) => history === 'contained');
  let bytes = sum(folders);
  let count = contained.length;
  const newest = folders.at(-1);
  const names: string[] = [];
  for (const folder of contained) {
    if (folder === newest || (count <= keep && bytes <= maxBytes)) break;
    names.push(folder.name);
    bytes -= folder.bytes;
    count -= 1;
  }
  return names;
}

const sum = (folders: readonly KeptFolder[]): number => folders.reduce((bytes, folder) => bytes + folder.bytes, 0);
