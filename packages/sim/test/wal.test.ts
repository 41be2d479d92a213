/**
 * The simulator's truth about logs (branches with parents) and the positions that the protocol compares must agree: otherwise the
 * checks would judge by another measure than the nodes.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { contains, systemId } from '@understudy/core';
import fc from 'fast-check';
import { type Branch, commonEnd, forkBranch, holds, rootBranch } from '../src/wal/branch.ts';
import { toPosition } from '../src/wal/position.ts';

const START = 1000;

/** A tree of branches with unique timelines: each forks from an earlier one, somewhere after that one's own fork. */
const tree = fc
  .array(fc.record({ parent: fc.nat(7), length: fc.integer({ min: 1, max: 50 }) }), { minLength: 1, maxLength: 7 })
  .map((forks) => {
    const branches: Branch[] = [rootBranch(1, systemId('a'), START)];
    forks.forEach((fork, index) => {
      const parent = branches[fork.parent % branches.length] as Branch;
      branches.push(forkBranch(index + 2, { branch: parent, lsn: parent.forkLsn + fork.length }, index + 2));
    });
    return branches;
  });

const end = (branches: readonly Branch[], pick: number, length: number) => {
  const branch = branches[pick % branches.length] as Branch;
  return { branch, lsn: branch.forkLsn + length };
};

test('a log holds a point exactly when its position contains the position of that point', () => {
  fc.assert(
    fc.property(tree, fc.nat(), fc.nat(), fc.nat(60), fc.nat(60), (branches, one, two, lengthOne, lengthTwo) => {
      const outer = end(branches, one, lengthOne);
      const inner = end(branches, two, lengthTwo);
      assert.equal(
        holds(outer.branch, outer.lsn, inner.branch, inner.lsn),
        contains(toPosition(outer.branch, outer.lsn), toPosition(inner.branch, inner.lsn)),
      );
    }),
  );
});

test('the common end is held by both, and nothing beyond it is', () => {
  fc.assert(
    fc.property(tree, fc.nat(), fc.nat(), fc.nat(60), fc.nat(60), (branches, one, two, lengthOne, lengthTwo) => {
      const a = end(branches, one, lengthOne);
      const b = end(branches, two, lengthTwo);
      const shared = commonEnd(a, b);
      assert.ok(shared !== null);
      assert.ok(holds(a.branch, a.lsn, shared.branch, shared.lsn));
      assert.ok(holds(b.branch, b.lsn, shared.branch, shared.lsn));
      const beyond = shared.lsn + 1;
      const both = holds(a.branch, a.lsn, shared.branch, beyond) && holds(b.branch, b.lsn, shared.branch, beyond);
      assert.ok(!both);
    }),
  );
});

test('servers of different origin share nothing', () => {
  const a = rootBranch(1, systemId('a'), START);
  const b = rootBranch(2, systemId('b'), START);
  assert.equal(commonEnd({ branch: a, lsn: START + 5 }, { branch: b, lsn: START + 5 }), null);
  assert.ok(!holds(a, START + 5, b, START + 1));
});
