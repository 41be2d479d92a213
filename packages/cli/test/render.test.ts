// Goal: the sentences about changes, losses and successors say what is so. Method: views as values.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ExplainView, MemberView } from '@understudy/agent/client';
import { PLAIN } from '../src/output/style.ts';
import { changesBetween } from '../src/render/changes.ts';
import { renderExplain, waitingWrites } from '../src/render/explain.ts';
import { renderChanges, renderHistory } from '../src/render/history.ts';
import { lossOf } from '../src/render/loss.ts';
import { gone, leading, member, status } from './support/views.ts';

test('a failover is told in order: who is gone, who was chosen, who leads', () => {
  const lost = status({ members: [leading('n1', { state: 'stopped' }), member('n2'), member('n3')] });
  const chosen = { ...lost, epoch: 4, leader: 'n2', phase: 'promoting' as const };
  const open = {
    ...chosen,
    phase: 'open' as const,
    since: { wallMs: 1, cause: 'leader-lost' },
    rule: { members: ['n3'], required: 1 },
    members: [gone('n1'), leading('n2'), member('n3')],
  };
  const told = [status(), lost, chosen, open].flatMap((view, index, all) => {
    const before = all[index - 1];
    return before === undefined ? [] : changesBetween(before, view).map(({ tone, text }) => `${tone}: ${text}`);
  });
  assert.deepEqual(told, [
    'bad: n1: stopped. Leading epoch 3.',
    'warn: n2 was chosen for epoch 4 and is opening',
    'good: n2 leads: epoch 4, open for writes (leader-lost)',
    "bad: n1: down. Its agent's address has refused connections for 4.2 s.",
    'good: n2: primary',
    'plain: commits wait for any 1 of (n3)',
  ]);
});

test('nothing is told where nothing changed, nor for the progress of a copy', () => {
  assert.deepEqual(changesBetween(status(), status({ wallMs: 5 })), []);
  const copying = (doneBytes: number) =>
    status({
      members: [
        leading('n1'),
        member('n2', { state: 'absent', job: { kind: 'clone', sinceMs: 1, doneBytes, totalBytes: 100 } }),
      ],
    });
  assert.deepEqual(changesBetween(copying(10), copying(60)), []);
});

test('pause, store, recovery point and requests are told', () => {
  const after = status({
    paused: true,
    store: { kind: 'stale', silentMs: 10, name: 'etcd', problem: null },
    rpo: { kind: 'zero-assumed', text: 'rpo: zero (assumed: its disk)', assumption: 'its disk' },
    lastOutcome: { id: 'r', kind: 'switchover', result: 'refused', reason: 'n2 lags.', wallMs: 1 },
  });
  assert.deepEqual(
    changesBetween(status(), after).map(({ text }) => text),
    [
      'rpo: zero (assumed: its disk)',
      'switchover refused: n2 lags.',
      'the store does not answer',
      'paused: no failover until "understudy resume"',
    ],
  );
});

test('what a forced failover would lose: nothing that is known', () => {
  const loss = lossOf(status(), member('n2'));
  assert.equal(loss.gapBytes, 0);
  assert.equal(loss.certainty, 'exact');
});

test('what a forced failover would lose: the exact gap, and who cannot be asked', () => {
  const view = status({
    members: [
      gone('n1', { role: 'leader', state: 'primary', position: '4@0/5000400' }),
      gone('n2', { position: '4@0/5000300' }),
      member('n3', { position: '4@0/5000148', agent: { kind: 'self' } }),
    ],
  });
  const loss = lossOf(view, member('n3'));
  assert.equal(loss.gapBytes, 0x5000400 - 0x5000148);
  assert.equal(loss.certainty, 'at-least');
  const text = loss.lines.join('\n');
  assert.match(text, /n3 ends at 4@0\/5000148/);
  assert.match(text, /n1 is known to have reached 4@0\/5000400/);
  assert.match(text, /696 bytes of log that n1 holds are not on n3 and would be lost/);
  assert.match(text, /n1, which the record names as leader, has not been heard for 4\.2 s\. It may have written more/);
  assert.match(text, /n2 may hold acknowledged writes that n3 lacks/);
});

test('histories are compared, not timeline numbers', () => {
  const parted = status({ members: [leading('n1', { position: '5@0/5000400' }), member('n2')] });
  const loss = lossOf(parted, member('n2', { position: '4@0/6000000' }));
  assert.equal(loss.gapBytes, null);
  assert.deepEqual(loss.furthest, { member: 'n1', position: '5@0/5000400' });
  assert.match(loss.lines.join(' '), /cannot be measured: their histories have parted/);
  const older = status({ members: [leading('n1', { position: '4@0/3000400' }), member('n2')] });
  assert.equal(lossOf(older, member('n2', { position: '5@0/5000400' })).gapBytes, 0);
});

test('sets of GTIDs are measured too, and what nobody reports is not guessed', () => {
  const set = (last: number): Partial<MemberView> => ({
    position: `2@a:1-${last}`,
    encodedPosition: { kind: 'gtid', set: { a: `1-${last}` }, lineages: [1, 2], bytesPerTransaction: 50 },
  });
  const view = status({ members: [leading('n1', set(9)), member('n2', set(4))] });
  const loss = lossOf(view, member('n2', set(4)));
  assert.equal(loss.gapBytes, 250);
  assert.match(loss.lines.join(' '), /About 250 bytes of log that n1 holds are not on n2/);
  const silent = lossOf(view, member('n2', { position: null, encodedPosition: null }));
  assert.equal(silent.gapBytes, null);
  assert.match(silent.lines.join(' '), /its position is not known/);
});

const explained: ExplainView = {
  member: 'n1',
  wallMs: 1,
  agoMs: 90,
  sameForMs: 62_000,
  epoch: 3,
  suspects: null,
  authority: { kind: 'primary', forMs: 4000 },
  commands: [],
  reasons: [{ code: 'leading', text: 'Leading epoch 3.' }],
  failures: [{ command: 'promote', agoMs: 1000, code: 'ENGINE_TIMEOUT', message: 'too slow' }],
  suspicion: { code: 'leader-silent', text: 'Nothing was heard.' },
  pendingRestart: ['max_connections'],
  session: 'held',
  guard: 'process 7',
  outlook: {
    kind: 'known',
    epoch: 3,
    leader: 'n1',
    successor: 'n2',
    paused: 'yes',
    proof: {
      kind: 'seals',
      verdict: 'met',
      rule: 'any 1 of (n2, n3)',
      needed: 2,
      of: ['n2', 'n3'],
      available: ['n2', 'n3'],
      missing: [],
    },
    candidates: [
      { member: 'n2', standing: 'first', code: 'elected', why: 'It holds the most.', position: null, behindBytes: 0 },
      {
        member: 'n3',
        standing: 'out',
        code: 'candidate-behind',
        why: 'It ends too early.',
        position: null,
        behindBytes: 9,
      },
    ],
  },
};

test('explain prints the decision with its reason, and then the succession', () => {
  const all = [
    { kind: 'answered', view: explained } as const,
    { kind: 'silent', member: 'n2', why: 'refused' } as const,
  ];
  const text = renderExplain(all, explained.outlook, { style: PLAIN, width: 100 }).join('\n');
  assert.match(text, /n1 {2}the same for 1 min 2 s/);
  assert.match(text, /reason {5}leading: Leading epoch 3\./);
  assert.match(text, /failed {5}promote, 1 s ago: ENGINE_TIMEOUT: too slow/);
  assert.match(text, /restart {4}needed for max_connections/);
  assert.match(text, /n2 {2}does not answer: refused/);
  assert.match(text, /If n1 vanished now:/);
  assert.match(text, /suspects {3}Nothing was heard\./);
  assert.match(text, /paused {5}nothing: until "understudy resume"; then:/);
  assert.match(text, /failover {3}possible: 2 of \(n2, n3\) have to seal, and n2, n3 can/);
  assert.match(text, /n2 {9}next: It holds the most\. \(elected\)/);
  assert.match(text, /n3 {9}no: It ends too early\. \(candidate-behind\)/);
});

test('writes that wait are said, with what a repair in SQL has to begin with', () => {
  const render = { style: PLAIN, width: 400 };
  assert.deepEqual(waitingWrites(status(), render), []);
  const broken = { receiver: { kind: 'broken', cause: 'login' } } as const;
  const view = status({ members: [leading('n1'), member('n2', broken), member('n3', broken)] });
  assert.match(waitingWrites(view, render).join(' '), /all writes on n1 wait\..*set synchronous_commit = local/);
});

test('history names causes in words and keeps their codes', () => {
  const entry = {
    epoch: 2,
    leader: 'n2',
    lineage: 3,
    cause: 'leader-lost',
    chosenAt: '2@0/50003A0',
    wallMs: 1_795_000_000_000,
  };
  assert.deepEqual(renderHistory([entry], PLAIN, 120), [
    'EPOCH  WHEN                     LEADER  TL  CHOSEN AT    WHY',
    '    2  2026-11-18 11:06:40 UTC  n2       3  2@0/50003A0  the leader was lost (leader-lost)',
  ]);
  assert.deepEqual(renderHistory([], PLAIN, 120), ['No leadership was ever recorded.']);
});

test('the record of changes says who, from where, what, and how it ended', () => {
  const change = {
    member: 'n1',
    wallMs: 1_795_000_000_000,
    who: 'token ops',
    from: '10.0.0.9 port 40000',
    what: 'POST /switchover',
    body: '{"to":"n2"}',
    status: 200,
  };
  const unfinished = { ...change, who: 'certificate alice', what: 'POST /understudy/detach', body: '', status: null };
  assert.deepEqual(renderChanges([change, unfinished], PLAIN, 140), [
    'WHEN                     WHO                FROM                 AGENT  ENDED  WHAT',
    '2026-11-18 11:06:40 UTC  token ops          10.0.0.9 port 40000  n1       200  POST /switchover {"to":"n2"}',
    '2026-11-18 11:06:40 UTC  certificate alice  10.0.0.9 port 40000  n1         ?  POST /understudy/detach',
  ]);
  assert.deepEqual(renderChanges([], PLAIN, 120), ['Nothing was changed through these agents.']);
});
