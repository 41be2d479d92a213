import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  type AckRule,
  ALONE,
  ackRule,
  formatRule,
  hasSealQuorum,
  type MemberId,
  memberId,
  ruleToStop,
  sameRule,
  sealQuorum,
  sealsSuffice,
  weakestMixture,
} from '../src/index.ts';
import { any, n1, n2, n3, n4, record } from './support/build.ts';

const NAMES = ['a', 'b', 'c', 'd', 'e'].map(memberId);

function subsets<T>(items: readonly T[]): readonly (readonly T[])[] {
  return Array.from({ length: 2 ** items.length }, (_, mask) => items.filter((_, index) => (mask >> index) & 1));
}

const meet = (a: readonly MemberId[], b: readonly MemberId[]): boolean => a.some((each) => b.includes(each));

/** Every rule over the first `count` names. */
const allRules = (count: number): readonly AckRule[] =>
  subsets(NAMES.slice(0, count)).flatMap((members) =>
    members.map((_, index) => ackRule(members, index + 1)).concat(members.length === 0 ? [ALONE] : []),
  );

test('any set that can acknowledge meets any set that can elect, for all rules of up to five members', () => {
  for (const rule of allRules(5)) {
    const acknowledging = subsets(rule.members).filter((set) => set.length >= rule.required);
    for (const sealed of subsets(rule.members)) {
      if (!hasSealQuorum(rule, new Set(sealed))) continue;
      for (const set of acknowledging)
        assert.ok(meet(set, sealed), `${formatRule(rule)}: ${set.join()} / ${sealed.join()}`);
    }
  }
});

test('and after a seal quorum too few are left to acknowledge; one seal less and they would still do', () => {
  for (const rule of allRules(5)) {
    if (rule.required === 0) continue;
    for (const sealed of subsets(rule.members)) {
      const left = rule.members.length - sealed.length;
      assert.equal(hasSealQuorum(rule, new Set(sealed)), left < rule.required);
    }
  }
});

test('members that the rule does not name prove nothing', () => {
  assert.equal(hasSealQuorum(any(1, n2), new Set([n1, n3, n4])), false);
  assert.equal(hasSealQuorum(any(1, n2), new Set([n1, n2])), true);
});

test('a leader that acknowledges alone cannot be stopped by any set of others', () => {
  assert.equal(sealQuorum(ALONE), Number.POSITIVE_INFINITY);
  assert.equal(hasSealQuorum(ALONE, new Set(NAMES)), false);
});

test('what stops a change stops both of its rules, and every mixture in which a process has one number and others have the other members', () => {
  const rules = allRules(4);
  for (const from of rules) {
    for (const to of rules) {
      const enough = subsets(NAMES.slice(0, 4)).filter((set) =>
        sealsSuffice(record({ rule: from, nextRule: to }), new Set(set)),
      );
      if (from.required === 0 || to.required === 0) {
        assert.equal(enough.length, 0);
        continue;
      }
      const required = Math.min(from.required, to.required);
      const counted = [...new Set([...from.members, ...to.members])];
      for (const sealed of enough) {
        assert.ok(hasSealQuorum(from, new Set(sealed)) && hasSealQuorum(to, new Set(sealed)));
        for (const acking of subsets(counted)) if (acking.length === required) assert.ok(meet(acking, sealed));
      }
    }
  }
});

test('without a change, the recorded rule is what has to be stopped', () => {
  assert.deepEqual(ruleToStop(record()), any(1, n2, n3));
  assert.deepEqual(ruleToStop(record({ rule: any(1, n2), nextRule: any(2, n2, n3) })), any(1, n2, n3));
  assert.deepEqual(weakestMixture(any(2, n2, n3), any(1, n4)), any(1, n2, n3, n4));
});

test('rules are sorted, without duplicates, and never ask for more than there are', () => {
  assert.deepEqual(ackRule([n3, n2, n3], 5), { members: [n2, n3], required: 2 });
  assert.deepEqual(ackRule([], 1), ALONE);
  fc.assert(
    fc.property(fc.array(fc.constantFrom(...NAMES)), fc.integer({ min: 0, max: 7 }), (members, required) => {
      const rule = ackRule(members, required);
      assert.deepEqual(rule, ackRule([...members].reverse(), required));
      assert.ok(rule.required <= rule.members.length);
      assert.equal(new Set(rule.members).size, rule.members.length);
      assert.ok(sameRule(rule, ackRule(rule.members, rule.required)));
    }),
    { numRuns: 1000 },
  );
});

test('rules differ by members and by number', () => {
  assert.ok(!sameRule(any(1, n2, n3), any(2, n2, n3)));
  assert.ok(!sameRule(any(1, n2, n3), any(1, n2)));
  assert.ok(!sameRule(any(1, n2), any(1, n3)));
});

test('rules read as sentences', () => {
  assert.equal(formatRule(any(1, n3, n2)), 'any 1 of (n2, n3)');
  assert.equal(formatRule(ALONE), 'alone');
});
