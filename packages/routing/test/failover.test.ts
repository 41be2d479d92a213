/**
 * Goal: every error, at every phase, whatever was sent, has one answer, and none of them breaks a rule. Method: each cell is a test of its
 * own against rules that are written down apart from the table, and against the page in `docs/`.
 */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import {
  afterReplicaError,
  type FailoverAction,
  type FailoverPhase,
  failoverAction,
  failoverOutcome,
  isNotReplicated,
  PHASES,
  pgSign,
  SENT,
  type Sent,
  SIGN_EFFECTS,
  SIGNS,
  type Sign,
  socketSign,
} from '../src/index.ts';
import { failoverPage } from './support/failover-page.ts';

const keys = <Key extends string>(of: Readonly<Record<Key, unknown>>): readonly Key[] => Object.keys(of) as Key[];
const ALL_SIGNS = keys(SIGNS);
const ALL_PHASES = keys(PHASES);
const ALL_SENT = keys(SENT);

/** After these the server session is gone, and with it every word about what it had done. */
const GONE: readonly Sign[] = [
  'refused',
  'connect-timeout',
  'starting',
  'full',
  'login-refused',
  'no-primary',
  'lost',
  'shutting-down',
  'crashed',
  'protocol',
  'superseded',
  'local',
];
const MAY_HAVE_COMMITTED: readonly Sent[] = ['write', 'write-forwarded', 'commit'];
const FORWARDED: readonly Sent[] = ['read-forwarded', 'write-forwarded'];

/** Why `action` would be wrong in this cell; empty when no rule speaks against it. */
function broken(sign: Sign, phase: FailoverPhase, sent: Sent, action: FailoverAction): string[] {
  const isGone = GONE.includes(sign) || (sign === 'silent' && (phase === 'promoting' || phase === 'moved'));
  const isRejection = sign === 'read-only' || sign === 'in-recovery';
  const sendsAgain = action === 'replay' || action === 'hold';
  const rules: readonly (readonly [boolean, string])[] = [
    [FORWARDED.includes(sent) && sendsAgain, 'no retry once a byte was forwarded'],
    [MAY_HAVE_COMMITTED.includes(sent) && action === 'replay', 'nothing that may have committed is sent again'],
    [
      MAY_HAVE_COMMITTED.includes(sent) && action === 'hold' && !(isRejection && sent === 'write'),
      'only a refused write had certainly no effect',
    ],
    [MAY_HAVE_COMMITTED.includes(sent) && isGone && action !== 'unknown', 'what may have committed is unknown'],
    [
      sign === 'not-replicated' && MAY_HAVE_COMMITTED.includes(sent) && action !== 'unknown',
      'a commit that was not replicated is unknown',
    ],
    [action === 'unknown' && !MAY_HAVE_COMMITTED.includes(sent), 'what cannot have committed is not unknown'],
    [
      sent.startsWith('transaction') && (sendsAgain || action === 'unknown'),
      'a transaction is neither replayed nor unknown before its end was sent',
    ],
    [
      isGone && sent.startsWith('transaction') && action !== 'refuse',
      'an open transaction is told that it was rolled back',
    ],
    [sent === 'idle' && action !== 'pass', 'an idle session is not told anything'],
    [isGone && sent === 'pinned' && action !== 'refuse', 'lost state is told'],
    [sent === 'nothing' && action === 'unknown', 'what was not sent is not unknown'],
    [sent === 'read' && isGone && action !== 'replay', 'a read that was not answered is read again'],
    [action === 'replay' && sent !== 'read', 'only reads are replayed'],
    [action === 'hold' && !['nothing', 'write'].includes(sent), 'only what had no effect waits'],
  ];
  return rules.filter(([isBroken]) => isBroken).map(([, rule]) => rule);
}

for (const sign of ALL_SIGNS) {
  describe(`sign ${sign}`, () => {
    for (const phase of ALL_PHASES) {
      for (const sent of ALL_SENT) {
        const action = failoverAction(sign, phase, sent);
        test(`${phase}, ${sent}: ${action}`, () => {
          assert.deepEqual(broken(sign, phase, sent, action), []);
          const outcome = failoverOutcome(sign, phase, sent);
          assert.equal(outcome.action, action);
          if (outcome.action === 'unknown')
            assert.deepEqual([outcome.error.sqlState, outcome.error.retry], ['08007', 'unknown']);
          if (outcome.action === 'refuse') assert.notEqual(outcome.error.sqlState, '08007');
        });
      }
    }
  });
}

test('the rules catch a table that is wrong', () => {
  assert.notDeepEqual(broken('lost', 'open', 'commit', 'refuse'), []);
  assert.notDeepEqual(broken('lost', 'open', 'write', 'hold'), []);
  assert.notDeepEqual(broken('read-only', 'open', 'write-forwarded', 'hold'), []);
  assert.notDeepEqual(broken('crashed', 'moved', 'transaction', 'hold'), []);
  assert.deepEqual(broken('read-only', 'open', 'write', 'hold'), []);
});

test('the quiet session whose first statement comes in the gap waits', () => {
  for (const sign of ['no-primary', 'refused', 'starting', 'lost', 'superseded', 'announced', 'read-only'] as const) {
    for (const phase of ALL_PHASES) assert.equal(failoverAction(sign, phase, 'nothing'), 'hold', `${sign} ${phase}`);
  }
});

test('a planned switchover lets what is under way end', () => {
  for (const sent of ALL_SENT)
    assert.equal(failoverAction('announced', 'switching', sent), sent === 'nothing' ? 'hold' : 'pass');
});

test('a slow statement of a primary that leads is not a failover', () => {
  for (const sent of ['write', 'transaction', 'commit', 'read'] as const) {
    assert.equal(failoverAction('silent', 'open', sent), 'pass');
    assert.notEqual(failoverAction('silent', 'moved', sent), 'pass');
  }
});

test('no node is blamed for a local fault or an answer of its own, and one refusal purges', () => {
  for (const sign of ['local', 'conflict', 'rolled-back', 'read-only', 'login-refused', 'not-replicated'] as const) {
    assert.equal(SIGN_EFFECTS[sign].blame, false, sign);
  }
  assert.equal(SIGN_EFFECTS['read-only'].purge, true);
  assert.equal(SIGN_EFFECTS.superseded.purge, true);
  assert.equal(SIGN_EFFECTS.local.purge, false);
});

test('the page says what the table says', () => {
  const page = readFileSync(join(import.meta.dirname, '../../../docs/routing.md'), 'utf8');
  const found = /<!-- failover table: begin -->\n([\s\S]*?)<!-- failover table: end -->/.exec(page)?.[1];
  assert.equal(found, failoverPage(), 'put the output of packages/routing/test/support/failover-page.ts there');
});

describe('what is a sign', () => {
  const at = (sqlState: string, message = '', more: Partial<Parameters<typeof pgSign>[1]> = {}, severity = 'ERROR') =>
    pgSign({ sqlState, severity, message }, { role: 'primary', isOwnReadOnly: false, isDuringLogin: false, ...more });

  test('of a server', () => {
    assert.equal(at('25006'), 'read-only');
    assert.equal(at('25006', '', { isOwnReadOnly: true }), null);
    assert.equal(at('25006', '', { isOwnReadOnly: true, role: 'replica' }), 'read-only');
    assert.equal(at('57P01', '', {}, 'FATAL'), 'shutting-down');
    assert.equal(at('57P02', '', {}, 'FATAL'), 'crashed');
    assert.equal(at('57P03', '', { isDuringLogin: true }, 'FATAL'), 'starting');
    assert.equal(at('53300', '', { isDuringLogin: true }, 'FATAL'), 'full');
    assert.equal(at('28P01', '', { isDuringLogin: true }, 'FATAL'), 'login-refused');
    assert.equal(at('28000'), null);
    assert.equal(at('3D000', '', { isDuringLogin: true }, 'FATAL'), 'login-refused');
    assert.equal(at('0A000', 'cannot access temporary or unlogged relations during recovery'), 'in-recovery');
    assert.equal(at('0A000', 'cannot use serializable mode in a hot standby'), 'in-recovery');
    assert.equal(at('55000', 'recovery is in progress'), 'in-recovery');
    assert.equal(at('0A000', 'cached plan must not change result type'), null);
    assert.equal(at('40001', '', { role: 'replica' }), 'conflict');
    assert.equal(at('40001'), 'rolled-back');
    assert.equal(at('42P01'), null);
  });

  test('of a socket', () => {
    assert.equal(socketSign('ECONNREFUSED', false), 'refused');
    assert.equal(socketSign('ETIMEDOUT', false), 'connect-timeout');
    assert.equal(socketSign('ECONNRESET', true), 'lost');
    assert.equal(socketSign('', true), 'lost');
    for (const code of ['EMFILE', 'ENFILE', 'ENOMEM', 'EADDRNOTAVAIL']) {
      assert.equal(socketSign(code, false), 'local');
      assert.equal(socketSign(code, true), 'local');
    }
  });

  test('a notice says that a commit was not replicated', () => {
    const notice = (message: string) => isNotReplicated({ sqlState: '01000', severity: 'WARNING', message });
    assert.equal(notice('canceling wait for synchronous replication due to user request'), true);
    assert.equal(
      notice('canceling the wait for synchronous replication and terminating connection due to administrator command'),
      true,
    );
    assert.equal(notice('something else'), false);
  });
});

test('what a replica refused is run on the primary only if it stands alone, and learned only if it always would be', () => {
  const after = (sqlState: string, message = '', isAlone = true, hasSchema = true) =>
    afterReplicaError({ sqlState, severity: 'ERROR', message }, { isAlone, hasSchema });
  assert.equal(after('25006'), 'rerun-and-learn');
  assert.equal(after('25006', '', false), 'pass');
  assert.equal(after('0A000', 'cannot use serializable mode in a hot standby'), 'rerun-and-learn');
  assert.equal(after('0A000', 'cached plan must not change result type'), 'pass');
  assert.equal(after('40001', 'canceling statement due to conflict with recovery'), 'rerun');
  assert.equal(after('42P01'), 'pass');
  assert.equal(after('42P01', '', true, false), 'rerun');
  assert.equal(after('22012', '', true, false), 'pass');
});
