// Goal: what people read about a cluster is right, fits the terminal and is plain in a pipe. Method: views as values, lines compared.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { StatusView } from '@understudy/agent/client';
import fc from 'fast-check';
import { COLOURED, PLAIN, stripStyle, visibleWidth } from '../src/output/style.ts';
import { lagText, problemsOf, stateText } from '../src/render/member.ts';
import { renderStatus } from '../src/render/status.ts';
import { gone, leading, member, status } from './support/views.ts';

const plain = (view: StatusView, width = 200): string[] => renderStatus(view, { style: PLAIN, width });

test('a healthy cluster, as it is printed into a pipe', () => {
  assert.deepEqual(plain(status()), [
    'shop: postgres 17.10 · epoch 3 · n1 leads for 1 min (switchover)',
    'Durability  sync: a commit waits for any 1 of (n2, n3)',
    'RPO         zero (proven): any 1 of (n2, n3) hold it.',
    'Store       local store /x/store.db',
    '',
    '  MEMBER  ROLE          STATE             LAG  TL  POSITION   ADDRESS         ACTIVITY',
    '● n1      leader        primary             –   4  0/5000148  127.0.0.1:5433  Leading epoch 3.',
    '● n2      sync-standby  streaming  0 B / 0 ms   4  0/5000148  127.0.0.1:5434  Following n1.',
    '● n3      sync-standby  streaming  0 B / 0 ms   4  0/5000148  127.0.0.1:5435  Following n1.',
  ]);
});

test('trouble is said in words: who is away, what is being changed, what was asked for', () => {
  const text = plain(
    status({
      members: [
        gone('n1', { role: 'leader', state: 'primary' }),
        leading('n2', { role: 'leader', reasons: [{ code: 'promoting', text: 'Opening.' }] }),
        member('n3', {
          state: 'absent',
          job: { kind: 'clone', sinceMs: 10, doneBytes: 50, totalBytes: 200 },
          reasons: [{ code: 'busy', text: 'The server is busy: clone.' }],
        }),
      ],
      leader: 'n2',
      phase: 'promoting',
      moving: { members: [], required: 0 },
      paused: true,
      store: { kind: 'stale', silentMs: 3000, name: 'etcd', problem: 'connection refused' },
      request: { id: 'r1', kind: 'switchover', text: 'switchover to n3', notBeforeWallMs: 1_795_003_600_000 },
      warnings: ['n2: role app sets synchronous_commit to off'],
    }),
  ).join('\n');
  assert.match(text, /n2 is opening · paused: no failover/);
  assert.match(text, /changing to nobody else/);
  assert.match(
    text,
    /etcd does not answer for 3 s: writes go on in sync, no failover is possible \(connection refused\)/,
  );
  assert.match(text, /○ n1 .* down .* refused connections for 4\.2 s/);
  assert.match(text, /◐ n3 .* clone 25 % /);
  assert.match(text, /asked for: switchover to n3, not before 2026-11-18 12:06:40 UTC/);
  assert.match(text, /warning: n2: role app sets synchronous_commit to off/);
});

test('without a leader it says so', () => {
  const [head] = plain(status({ leader: null, phase: 'none', epoch: null, since: null }));
  assert.equal(head, 'shop: postgres 17.10 · no epoch yet · no leader yet');
});

test('lag in bytes and ms, and what is not known', () => {
  assert.equal(lagText(member('n2', { replayLagBytes: 3 * 1024 ** 2, replayLagMs: 1500 })), '3 MiB / 1.5 s');
  assert.equal(lagText(member('n2', { replayLagMs: 400, lagIsAtLeast: true })), '0 B / ≥ 400 ms');
  assert.equal(lagText(member('n2', { receiveLagBytes: null, replayLagBytes: null, replayLagMs: null })), '?');
  assert.equal(lagText(leading('n1')), '–');
});

test('a replica without a stream is not called streaming', () => {
  assert.equal(stateText(member('n2', { receiver: { kind: 'broken', cause: 'refused' } })), 'not streaming');
  assert.equal(stateText(member('n2', { agent: { kind: 'silent', silentMs: 900 } })), 'silent');
});

test('the last words of an agent that is not heard are not repeated as if they were true', () => {
  const silent = leading('n1', { agent: { kind: 'silent', silentMs: 90_000 }, state: 'unknown', reasons: [] });
  const text = plain(status({ members: [silent, member('n2'), member('n3')] }), 120).join('\n');
  assert.match(text, /n1 is recorded as the leader, and led when it was last heard, 1 min 30 s ago/);
  assert.doesNotMatch(text, /n1 leads/);
});

test('a restart that a parameter needs is named with its members, an old request with its age', () => {
  const members = [leading('n1', { pendingRestart: ['max_connections'] }), member('n2'), member('n3')];
  const lastOutcome = { id: 'r', kind: 'reinit', result: 'failed', reason: 'No room.', wallMs: 0 } as const;
  const text = plain(status({ members, lastOutcome, wallMs: 61_000 }), 200).join('\n');
  assert.match(text, /restart needed: n1 \(max_connections\)\. All in turn: understudy restart --pending --rolling/);
  assert.match(text, /last request: reinit failed 1 min 1 s ago: No room\./);
});

test('a cluster is whole, or it is said what is missing', () => {
  assert.deepEqual(problemsOf(status()), []);
  const view = status({ phase: 'promoting', members: [leading('n1'), gone('n2')] });
  assert.deepEqual(problemsOf(view), ['there is no open leader', 'n2 is down']);
});

test('no line is wider than the terminal, at any width, and colours change nothing but colour', () => {
  const views = [
    status(),
    status({
      members: [gone('n1'), leading('n2'), member('n3', { tags: { ...member('n3').tags, nofailover: true } })],
    }),
    status({
      store: { kind: 'stale', silentMs: 1, name: 'etcd https://a:1, https://b:2', problem: 'a long explanation of it' },
    }),
  ];
  fc.assert(
    fc.property(fc.constantFrom(...views), fc.integer({ min: 50, max: 220 }), (view, width) => {
      const lines = renderStatus(view, { style: PLAIN, width });
      const tableLines = lines.slice(lines.indexOf('') + 1);
      for (const line of tableLines) assert.ok(visibleWidth(line) <= width, `${width}: ${line}`);
      assert.deepEqual(renderStatus(view, { style: COLOURED, width }).map(stripStyle), lines);
    }),
  );
});

test('a narrow terminal keeps what matters most: member, role, state', () => {
  const lines = plain(status(), 44);
  assert.equal(lines.at(-1), '● n3      sync-standby  streaming');
});
