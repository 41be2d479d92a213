/** What two looks at one row gave on each server: a digest of it, or null where there is none. */
export interface TwoLooks {
  readonly first: { readonly n1: string | null; readonly n2: string | null };
  readonly second: { readonly n1: string | null; readonly n2: string | null };
}

export type Verdict =
  /** The difference was on its way, and has arrived. */
  | 'equal'
  /** Neither server changed the row although each had executed everything that the other had when it was first read. */
  | 'differs'
  /** Somebody changes it at the moment; it has to be looked at again. */
  | 'moving';

/**
 * Judges a row that differed. Between the two looks each server has reached the position that the other one had after the first. If both
 * still have what they had, nothing that is on its way can explain the difference.
 */
export function judge({ first, second }: TwoLooks): Verdict {
  if (second.n1 === second.n2) return 'equal';
  return first.n1 === second.n1 && first.n2 === second.n2 ? 'differs' : 'moving';
}

/** Rows that are not the same on both sides, from the digests by key. */
export function differing(
  n1: ReadonlyMap<string, string>,
  n2: ReadonlyMap<string, string>,
): readonly { readonly key: string; readonly n1: string | null; readonly n2: string | null }[] {
  const keys = new Set([...n1.keys(), ...n2.keys()]);
  return [...keys]
    .map((key) => ({ key, n1: n1.get(key) ?? null, n2: n2.get(key) ?? null }))
    .filter((each) => each.n1 !== each.n2);
}
