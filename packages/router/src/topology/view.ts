/** The cluster as the workers see it: plain values, sent to them after every change. */

/** What a port, a pool or a statement asks of a node. */
export type Wanted = 'primary' | 'replica' | 'any';

export interface MemberView {
  readonly name: string;
  readonly host: string;
  readonly port: number;
  /** `primary`: it may be written to now, by record and deadline. `none`: it serves nobody. */
  readonly serves: 'primary' | 'replica' | 'none';
  /** How old what it shows may be; null when that is not known. */
  readonly lagMs: number | null;
}

export interface ClusterView {
  /** Grows with every change of leadership; 0 while nothing is known. A plain list of servers counts its own changes. */
  readonly epoch: number;
  /** Null: nobody may be written to at the moment. */
  readonly primary: string | null;
  readonly members: readonly MemberView[];
}

export const NOTHING_KNOWN: ClusterView = { epoch: 0, primary: null, members: [] };

/** One agent's or probe's word about its own server. */
export interface Word {
  readonly member: string;
  readonly epoch: number;
  readonly serves: 'primary' | 'replica' | 'none';
  readonly lagMs: number | null;
}

export interface Place {
  readonly name: string;
  readonly host: string;
  readonly port: number;
}

/**
 * Joins what the members say of themselves. Only one can be written to: of several that say so, the one of the highest epoch, and none
 * when a newer epoch than its own was heard of: its fence may be on its way.
 */
export function joinWords(places: readonly Place[], words: ReadonlyMap<string, Word>): ClusterView {
  const epoch = Math.max(0, ...[...words.values()].map((each) => each.epoch));
  const claims = [...words.values()].filter((each) => each.serves === 'primary' && each.epoch === epoch);
  const primary = claims.length === 1 ? (claims[0]?.member ?? null) : null;
  const members = places.map((place): MemberView => {
    const word = words.get(place.name);
    const serves = word === undefined || (word.serves === 'primary' && place.name !== primary) ? 'none' : word.serves;
    return { ...place, serves, lagMs: word?.lagMs ?? null };
  });
  return { epoch, primary, members };
}

export const sameView = (a: ClusterView, b: ClusterView): boolean =>
  JSON.stringify(withoutLag(a)) === JSON.stringify(withoutLag(b));

const withoutLag = (view: ClusterView): unknown => ({
  ...view,
  members: view.members.map((each) => ({ ...each, lagMs: 0 })),
});
