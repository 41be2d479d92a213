/** Goal: what is said about routing, wherever it is said, means one thing. Method: each place, each setting, right and wrong. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { memberId } from '@understudy/core';
import {
  formatLevel,
  MAX_LAG_MS,
  needsToken,
  parseLevel,
  type RouteSettings,
  readHint,
  readSetting,
  readStartupOptions,
  resolveSettings,
  SCOPES,
} from '../src/index.ts';

test('a level is read in any case, and written as it is read', () => {
  for (const text of ['strong', 'bounded(500)', 'session', 'causal', 'eventual']) {
    const level = parseLevel(text.toUpperCase()) ?? assert.fail(text);
    assert.equal(formatLevel(level), text);
    assert.equal(needsToken(level), text === 'session' || text === 'causal');
  }
  assert.deepEqual(parseLevel(' bounded ( 10 ms ) '), { kind: 'bounded', maxLagMs: 10 });
  for (const text of [
    '',
    'bounded',
    'bounded()',
    'bounded(0)',
    'bounded(-1)',
    'bounded(1.5)',
    `bounded(${MAX_LAG_MS + 1})`,
    'weak',
  ]) {
    assert.equal(parseLevel(text), null, text);
  }
});

describe('settings of several scopes', () => {
  const level = (name: string): RouteSettings => ({ level: parseLevel(name) ?? assert.fail(name) });

  test('the innermost that says something wins, each setting alone', () => {
    for (const [index, scope] of SCOPES.entries()) {
      const outer = Object.fromEntries(SCOPES.slice(0, index + 1).map((each) => [each, level('eventual')]));
      const found = resolveSettings({ ...outer, [scope]: level('strong') });
      assert.deepEqual([found.level.kind, found.from.level], ['strong', scope]);
    }
    const mixed = resolveSettings({
      cluster: { ...level('strong'), maxWaitMs: 5 },
      statement: { target: { kind: 'replica' } },
    });
    assert.deepEqual([mixed.level.kind, mixed.target.kind, mixed.maxWaitMs], ['strong', 'replica', 5]);
  });

  test('nobody said anything: session, auto, the primary when nobody is fresh', () => {
    const found = resolveSettings({});
    assert.deepEqual(
      [found.level.kind, found.target.kind, found.onStale, found.from.level],
      ['session', 'auto', 'primary', 'default'],
    );
  });

  test('tokens of all scopes count, and raise session to causal', () => {
    const found = resolveSettings({ connection: { tokens: ['a'] }, statement: { tokens: ['b'] } });
    assert.deepEqual([found.tokens, found.level.kind], [['a', 'b'], 'causal']);
    assert.equal(resolveSettings({ statement: { tokens: ['b'], ...level('eventual') } }).level.kind, 'eventual');
  });
});

describe('a setting', () => {
  const settings = (name: string, value: string) => {
    const read = readSetting(name, value);
    return read.kind === 'read' ? read.settings : read.error.sqlState;
  };

  test('is read by its name, with or without the prefix', () => {
    assert.deepEqual(settings('understudy.level', 'strong'), { level: { kind: 'strong' } });
    assert.deepEqual(settings('Understudy.Route', 'node:n2'), { target: { kind: 'node', member: memberId('n2') } });
    assert.deepEqual(settings('route', 'PRIMARY'), { target: { kind: 'primary' } });
    assert.deepEqual(settings('on_stale', 'error'), { onStale: 'error' });
    assert.deepEqual(settings('max_wait', '50ms'), { maxWaitMs: 50 });
    assert.deepEqual(settings('pool', 'reporting'), { pool: 'reporting' });
    assert.deepEqual(settings('token', 'v1.x'), { tokens: ['v1.x'] });
    assert.deepEqual(settings('level', ''), {});
  });

  test('that is wrong is refused with what it takes', () => {
    const bad = [
      ['level', 'weak'],
      ['route', 'node:'],
      ['route', 'node:a b'],
      ['on_stale', 'x'],
      ['max_wait', '60001'],
      ['pool', "a'b"],
      ['token', 'x'.repeat(5000)],
      ['nothing', '1'],
      ['constructor', '1'],
    ];
    for (const [name = '', value = ''] of bad) assert.equal(settings(name, value), '22023', `${name} ${value}`);
  });

  test('among startup options is told from those of the server', () => {
    const read = readStartupOptions(
      new Map([
        ['search_path', 'a'],
        ['understudy.level', 'eventual'],
        ['understudy.pool', 'x'],
      ]),
    );
    assert.deepEqual(read, { kind: 'read', settings: { level: { kind: 'eventual' }, pool: 'x' } });
    assert.equal(readStartupOptions(new Map([['understudy.level', 'x']])).kind, 'rejected');
  });
});

test('a hint says what it knows, and nothing of what it does not', () => {
  assert.deepEqual(readHint(' understudy: route=replica level=bounded(5) max_wait=10 '), {
    target: { kind: 'replica' },
    level: { kind: 'bounded', maxLagMs: 5 },
    maxWaitMs: 10,
  });
  assert.deepEqual(readHint('understudy: node=n2, pool="reporting"; unknown=1 level=weak'), {
    target: { kind: 'node', member: memberId('n2') },
    pool: 'reporting',
  });
  assert.deepEqual(readHint('other: level=strong'), {});
  assert.deepEqual(readHint('level=strong'), {});
});
