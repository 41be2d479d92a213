import type { MemberId } from './brand.ts';

/**
 * Who may acknowledge a commit, and how many must: PostgreSQL's `ANY required (members)`, semi-sync with `required` acks.
 * `required === 0` (with no members) means that the leader acknowledges alone.
 */
export interface AckRule {
  /** Sorted, without duplicates, never the leader itself. */
  readonly members: readonly MemberId[];
  readonly required: number;
}

/** The rule of a leader that acknowledges alone. */
export const ALONE: AckRule = { members: [], required: 0 };

export function ackRule(members: Iterable<MemberId>, required: number): AckRule {
  const sorted = [...new Set(members)].sort();
  return { members: sorted, required: Math.min(required, sorted.length) };
}

export function sameRule(a: AckRule, b: AckRule): boolean {
  return (
    a.required === b.required &&
    a.members.length === b.members.length &&
    a.members.every((member, i) => member === b.members[i])
  );
}

/**
 * How many of the rule's members must have stopped acknowledging before nobody can collect `required` acks any more, which is
 * also how many must be asked so that every acknowledged write is seen (C18: one inequality gives both):
 * n − k + 1. Infinity for a leader that acknowledges alone: no set of others proves anything.
 */
export function sealQuorum(rule: AckRule): number {
  return rule.required === 0 ? Number.POSITIVE_INFINITY : rule.members.length - rule.required + 1;
}

/** Whether `sealed` members suffice under `rule`. */
export function hasSealQuorum(rule: AckRule, sealed: ReadonlySet<MemberId>): boolean {
  return rule.members.filter((member) => sealed.has(member)).length >= sealQuorum(rule);
}

/**
 * What a server may count by while it changes from `from` to `to`: any mixture of the two. The processes of a PostgreSQL server read
 * a new setting one after the other, and each counts with its own number among the standbys that the others accepted: changing from
 * `any 1 of (b)` to `any 2 of (b, c)`, one that still asks for 1 already sees c, and c alone is enough for a moment. So during a change
 * an election must stop as many as would stop the weakest mixture, and that covers both rules.
 */
export function weakestMixture(from: AckRule, to: AckRule): AckRule {
  return ackRule([...from.members, ...to.members], Math.min(from.required, to.required));
}

export function formatRule(rule: AckRule): string {
  return rule.required === 0 ? 'alone' : `any ${rule.required} of (${rule.members.join(', ')})`;
}
